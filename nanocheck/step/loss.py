"""The language model's head and its loss: one door for every model, because here is most of the memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from nanocheck.core.config import StepConfig
from nanocheck.core.memory_formulas import LOSS_CHUNKS

#: Head, activations and targets in; logits and loss out. Keywords are those of ``next_token_loss``.
Loss = Callable[..., tuple[Tensor | None, Tensor]]


def loss_of(config: StepConfig) -> Loss:
    """``next_token_loss``, or the chunked one, as the configuration asks for it."""
    function: Loss = chunked_next_token_loss if config.loss == "chunked" else next_token_loss
    # No autocast is there to do it: see ``nanocheck.step.precision``.
    in_16_bits = config.weights != "fp32" or (config.sharding == "fsdp2" and config.dtype == "bf16")
    return partial(function, mean_in_fp32=True) if in_16_bits else function


def next_token_loss(
    head: nn.Module,
    x: Tensor,
    targets: Tensor,
    *,
    softcap: float | None = None,
    cap_in_fp32: bool = False,
    mean_in_fp32: bool = False,
    reduction: str = "mean",
) -> tuple[Tensor, Tensor]:
    """Logits and cross entropy in nats of ``targets`` (B, T), -1 ignored.

    Args:
        head: (B, T, C) -> (B, T, V).
        x: normalised activations of the last block, (B, T, C).
        softcap: c of c tanh(logits / c), nanochat's 15; the logits are then fp32. Without it they stay as
            the head made them.
        cap_in_fp32: turn the logits to fp32 before they are capped (nanochat of 2026), not after (2025).
        mean_in_fp32: add the losses up in fp32 whatever the logits are, as autocast would by itself.
        reduction: ``mean``: a scalar; ``none``: one loss per token, (B T).

    Returns:
        Logits (B, T, V), for those who keep them, and the loss.
    """
    logits = head(x)
    # Every line binds the name again: what it held before is free for the next, as in the originals.
    if softcap is not None:
        if cap_in_fp32:
            logits = logits.float()
        logits = softcap * (logits / softcap).tanh()
        if not cap_in_fp32:
            logits = logits.float()
    if mean_in_fp32:
        # What a cross entropy under autocast comes to on a GPU: log-probabilities of the logits' type first.
        likely = functional.log_softmax(logits.view(-1, logits.size(-1)), -1).float()
        return logits, functional.nll_loss(likely, targets.view(-1), ignore_index=-1, reduction=reduction)
    loss = functional.cross_entropy(
        logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1, reduction=reduction
    )
    return logits, loss


def chunked_next_token_loss(
    head: nn.Module, x: Tensor, targets: Tensor, *, reduction: str = "mean", **options: Any
) -> tuple[None, Tensor]:
    """The loss of ``next_token_loss`` without ever holding the logits of more than B T / 8 tokens.

    Each of ``LOSS_CHUNKS`` parts of the tokens is checkpointed: its logits are dropped after its loss and
    computed again in the backward, which is one more matrix product with the head.

    Returns:
        No logits, and the loss.
    """
    tokens, wanted = x.reshape(-1, x.size(-1)), targets.reshape(-1)
    size = -(-len(wanted) // LOSS_CHUNKS)
    part = partial(_part_loss, head, reduction="none" if reduction == "none" else "sum", **options)
    losses = [
        checkpoint(part, some, goals, use_reentrant=False)
        for some, goals in zip(torch.split(tokens, size), torch.split(wanted, size), strict=True)
    ]
    if reduction == "none":
        return None, torch.cat(losses)
    return None, torch.stack(losses).sum() / (wanted != -1).sum()


def _part_loss(head: nn.Module, x: Tensor, targets: Tensor, **options: Any) -> Tensor:
    return next_token_loss(head, x, targets, **options)[1]
