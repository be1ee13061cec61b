"""A project that trains a tiny GPT: its remote, a pull request, and the checkout that GitHub makes of it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRAIN = '''"""A GPT small enough for a test."""
import torch
from torch import nn
from torch.nn import functional as F

VOCAB, WIDTH, LENGTH, BATCH = 8192, 64, 128, 8


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)

    def forward(self, tokens):
        logits = self.head(self.blocks(self.embed(tokens)))
        return logits


def main():
    model = GPT().to("cuda", torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        tokens = torch.randint(VOCAB, (BATCH, LENGTH), device="cuda")
        loss = F.cross_entropy(model(tokens).view(-1, VOCAB), tokens.view(-1))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()


main()
'''
#: What a pull request forgets: fp32 logits, kept for a plot that nobody draws.
FORGOTTEN = "        self.for_the_plot = logits.float()\n"
#: BATCH x LENGTH x VOCAB numbers of four bytes.
FORGOTTEN_BYTES = 8 * 128 * 8192 * 4
RETURN = "        return logits\n"
_WHO = ("-c", "user.name=toy", "-c", "user.email=toy@example.invalid", "-c", "commit.gpgsign=false")


@dataclass(frozen=True)
class Pushed:
    """A push to the pull request: the author's head, the base, a shallow checkout of the merge commit."""

    base: str
    head: str
    checkout: Path

    def event(self, *, fork: bool = False, number: int = 7) -> dict[str, Any]:
        """GitHub's webhook payload, as far as a job needs it."""
        of = "stranger/r" if fork else "o/r"
        return {
            "action": "synchronize",
            "number": number,
            "pull_request": {
                "number": number,
                "base": {"ref": "main", "sha": self.base, "repo": {"full_name": "o/r"}},
                "head": {"ref": "change", "sha": self.head, "repo": {"full_name": of, "fork": fork}},
                "labels": [],
            },
            "repository": {"full_name": "o/r"},
        }


class Repository:
    """``main`` trains; a pull request changes it, push by push."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.work = folder, folder / "work"
        self.work.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("config", "uploadpack.allowAnySHA1InWant", "true")  # as GitHub has it
        (self.work / "train.py").write_text(TRAIN)
        self.base = self._commit("train")
        self._git("checkout", "--quiet", "-b", "change")
        self._pushes = 0

    def push(self, text: str, message: str) -> Pushed:
        """A commit on the pull request's branch, and what actions/checkout brings of it."""
        (self.work / "train.py").write_text(text)
        head = self._commit(message)
        self._git("checkout", "--quiet", "-B", "pull-7-merge", "main")
        self._git(*_WHO, "merge", "--quiet", "--no-ff", "-m", "merge", "change")
        self._git("checkout", "--quiet", "change")
        self._pushes += 1
        checkout = self.folder / f"push-{self._pushes}" / "r"
        checkout.parent.mkdir()
        address = f"file://{self.work}"
        clone = ["git", "clone", "--quiet", "--depth=1", "--branch=pull-7-merge", address, str(checkout)]
        subprocess.run(clone, check=True)
        return Pushed(self.base, head, checkout)

    def _commit(self, message: str) -> str:
        self._git("add", "--all")
        self._git(*_WHO, "commit", "--quiet", "-m", message)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.work), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout
