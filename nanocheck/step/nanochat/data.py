"""Batches as the data loaders of nanochat and autoresearch hand them over: each has a way of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nanocheck.core.config import StepConfig
from nanocheck.step.data import Batches


class NanochatBatches(Batches):
    """Adds the table of bytes per token that evaluation weighs with; here every token is one byte.

    The originals load it before the model and keep it, int32 of shape (V,).
    """

    def __init__(self, config: StepConfig, device: str, tokens: Sequence[int] | None = None) -> None:
        super().__init__(config, device, tokens)
        self.token_bytes = torch.ones(config.vocab_size, dtype=torch.int32).to(device)


class Batches2025(NanochatBatches):
    """Inputs are int32, targets int64, both new tensors every time.

    Each split has a loader of its own, a generator whose frame holds its last batch until the next one.
    """

    def __init__(self, config: StepConfig, device: str, tokens: Sequence[int] | None = None) -> None:
        super().__init__(config, device, tokens)
        self._last: dict[str, tuple[Tensor, Tensor]] = {}

    def next(self, split: str = "train") -> tuple[Tensor, Tensor]:
        """Inputs and next-token targets of shape (B, T), on the device."""
        x, y = self.windows()
        self._last[split] = self._moved(x.to(torch.int32)), self._moved(y)
        return self._last[split]

    def _moved(self, host: Tensor) -> Tensor:
        if torch.device(self._device).type == "cuda":
            host = host.pin_memory()
        return host.to(self._device, non_blocking=True)


class BufferedBatches(Batches):
    """Inputs and targets are views of one int64 buffer, which every batch overwrites.

    Each split has a loader of its own, so a buffer of its own, from its first batch on. autoresearch's loader
    is this and nothing else.
    """

    def __init__(self, config: StepConfig, device: str, tokens: Sequence[int] | None = None) -> None:
        super().__init__(config, device, tokens)
        self._buffers: dict[str, Tensor] = {}

    def next(self, split: str = "train") -> tuple[Tensor, Tensor]:
        """Inputs and next-token targets of shape (B, T), on the device, until the next call."""
        if split not in self._buffers:
            shape = (2, self._config.batch, self._config.block_size)
            self._buffers[split] = torch.empty(shape, dtype=torch.int64, device=self._device)
        host = torch.stack(self.windows())
        if torch.device(self._device).type == "cuda":
            host = host.pin_memory()
        buffer = self._buffers[split].copy_(host, non_blocking=True)
        return buffer[0], buffer[1]

    def end(self, split: str) -> None:
        """Let go of a loader; the next batch of its split comes from a new one."""
        self._buffers.pop(split, None)


class Batches2026(BufferedBatches, NanochatBatches):
    """Buffers, and the table of bytes per token."""
