"""Attention windows of mid-2026, as its SDPA fallback computes them on cards without FlashAttention 3."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nanocheck.core.config import StepConfig

#: A short window is a quarter of the context, rounded up to a tile of FlashAttention 3.
TILE = 128


def window_lengths(config: StepConfig) -> list[int]:
    """By layer, how many tokens back it looks: the pattern tiled over the layers, the last one full."""
    short = -(-config.block_size // 4 // TILE) * TILE
    lengths = {"L": config.block_size, "S": short}
    pattern = config.window
    windows = [lengths[pattern[layer % len(pattern)]] for layer in range(config.n_layer)]
    windows[-1] = config.block_size
    return windows


def attention(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    """Causal attention over (B, T, H, D) that looks ``window`` tokens back."""
    q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
    y = _masked(q, k, v, window)
    return y.transpose(1, 2)


def _masked(q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
    length = q.size(2)
    if window >= length:
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    mask = window_mask(length, window, q.device)
    return functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def window_mask(length: int, window: int, device: torch.device) -> Tensor:
    """(T, T): whether the token of a row sees that of a column, itself and up to ``window`` before it."""
    rows = torch.arange(length, device=device).unsqueeze(1)
    columns = torch.arange(length, device=device).unsqueeze(0)
    mask = columns <= rows
    return mask & ((rows - columns) <= window)
