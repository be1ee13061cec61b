"""A git repository with a tiny training, and a forgotten fp32 copy of its logits, not committed yet."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

COPY = "logits = logits.float()"
MODEL = """
import torch.nn.functional as F
from torch import nn


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(50304, 64)
        self.head = nn.Linear(64, 50304, bias=False)

    def forward(self, tokens, targets):
        logits = self.head(self.embed(tokens))
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1))
        return logits, loss
"""
TRAIN = """
import torch
from model import Model

model = Model().cuda()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(5):
    tokens = torch.randint(0, 50304, (2, 1025), device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        logits, loss = model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
"""
#: Of the copy: two sequences of 1,024 tokens, 50,304 words, 4 bytes each.
COPY_BYTES = 2 * 1024 * 50304 * 4
#: Relative to ``app``, and unknown to git, as a virtual environment's is.
PYTHON = ".venv/bin/python"


def git(folder: Path, *arguments: str) -> str:
    """What git says in a folder, to a person without settings."""
    identity = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def make(root: Path) -> Path:
    """The folder ``app`` of the new repository, where the training is run."""
    app = root / "app"
    (app / ".venv/bin").mkdir(parents=True)
    (app / "model.py").write_text(MODEL)
    (app / "train.py").write_text(TRAIN)
    (root / ".gitignore").write_text(".venv/\n__pycache__/\n")
    python = app / PYTHON
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "the training")
    before = "        loss = F"
    (app / "model.py").write_text(MODEL.replace(before, f"        # more digits\n\n        {COPY}\n{before}"))
    return app
