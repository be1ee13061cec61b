"""Sampling in the middle of training, as nanoGPT's ``generate`` does it."""

from __future__ import annotations

from typing import cast

import torch
from torch.nn import functional

from nanocheck.step.model import GPT
from nanocheck.step.training import Training

#: A whole context stands before the first one, so that each takes as much memory as any.
NEW_TOKENS = 3
TEMPERATURE = 0.8
TOP_K = 200


@torch.no_grad()
def sample(training: Training, index: int, new_tokens: int = NEW_TOKENS) -> torch.Tensor:
    """Token ids (1, T + ``new_tokens``) that go on with the next batch's first window; the phase ``sample``.

    nanoGPT's ``sample.py``: temperature 0.8, the 200 likeliest tokens.
    """
    training.enter("sample", index)
    training.model.eval()
    model, idx = cast(GPT, training.model), training.x[:1]
    with training.autocast:
        for _ in range(new_tokens):
            context = idx if idx.size(1) <= model.block_size else idx[:, -model.block_size :]
            logits = model.next_logits(context)
            logits = logits[:, -1, :] / TEMPERATURE
            likeliest, _ = torch.topk(logits, min(TOP_K, logits.size(-1)))
            logits[logits < likeliest[:, [-1]]] = -float("inf")
            following = torch.multinomial(functional.softmax(logits, dim=-1), num_samples=1)
            idx = torch.cat((idx, following), dim=1)
    training.model.train()
    training.observe("sample", index)
    return idx
