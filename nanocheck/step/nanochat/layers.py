"""What both releases of nanochat and autoresearch are made of."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanocheck.core.config import StepConfig

SOFTCAP = 15.0
#: The rotary tables are this many times as long as the context.
ROTARY_SPARE = 10
#: The tables (1, T, 1, D / 2) of cosines and sines.
Rotary = tuple[Tensor, Tensor]


#: The width that AdamW's rates were tuned at; others scale them by the inverse square root of theirs.
TUNED_WIDTH = 768


def width_scale(config: StepConfig) -> float:
    """Factor on AdamW's learning rates."""
    return float((config.n_embd / TUNED_WIDTH) ** -0.5)


class Linear(nn.Linear):
    """A linear layer without bias, born without random numbers."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)

    def reset_parameters(self) -> None:
        pass


class Embedding(nn.Embedding):
    """An embedding born without random numbers."""

    def reset_parameters(self) -> None:
        pass


def norm(x: Tensor) -> Tensor:
    """Root mean square norm over the last dimension, without weights."""
    return functional.rms_norm(x, (x.size(-1),))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary embedding of (B, T, H, D): the halves of D are the two coordinates of each pair."""
    half = x.shape[3] // 2
    x1, x2 = x[..., :half], x[..., half:]
    y1 = x1 * cos + x2 * sin
    y2 = x1 * (-sin) + x2 * cos
    return torch.cat([y1, y2], 3)


def rotary_tables(length: int, head_width: int, base: float, dtype: torch.dtype, device: Any) -> Rotary:
    """Cosines and sines of the angles t / base ** (2 i / D), shape (1, length, 1, D / 2)."""
    channels = torch.arange(0, head_width, 2, dtype=torch.float32, device=device)
    frequencies = 1.0 / (base ** (channels / head_width))
    times = torch.arange(length, dtype=torch.float32, device=device)
    angles = torch.outer(times, frequencies)
    cos, sin = angles.cos(), angles.sin()
    cos, sin = cos.to(dtype), sin.to(dtype)
    return cos[None, :, None, :], sin[None, :, None, :]


def blank_tables(config: StepConfig, dtype: torch.dtype) -> Rotary:
    """Room for the tables of a model."""
    shape = (1, ROTARY_SPARE * config.block_size, 1, config.n_embd // config.n_head // 2)
    return torch.empty(shape, dtype=dtype), torch.empty(shape, dtype=dtype)


class MLP(nn.Module):
    """(B, T, C) -> (B, T, 4 C) -> (B, T, C) around a squared ReLU."""

    def __init__(self, width: int, linear: type[Linear] = Linear) -> None:
        super().__init__()
        self.c_fc = linear(width, 4 * width)
        self.c_proj = linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        x = functional.relu(x).square()
        return self.c_proj(x)  # type: ignore[no-any-return]
