"""The language model's head and its loss: one door for every model, because here is most of the memory."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def next_token_loss(
    head: nn.Module,
    x: Tensor,
    targets: Tensor,
    *,
    softcap: float | None = None,
    cap_in_fp32: bool = False,
    reduction: str = "mean",
) -> tuple[Tensor, Tensor]:
    """Logits and cross entropy in nats of ``targets`` (B, T), -1 ignored.

    Args:
        head: (B, T, C) -> (B, T, V).
        x: normalised activations of the last block, (B, T, C).
        softcap: c of c tanh(logits / c), nanochat's 15; the logits are then fp32. Without it they stay as
            the head made them.
        cap_in_fp32: turn the logits to fp32 before they are capped (nanochat of 2026), not after (2025).
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
    loss = functional.cross_entropy(
        logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1, reduction=reduction
    )
    return logits, loss
