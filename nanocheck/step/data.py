"""Batches of tokens, fetched as nanoGPT's ``get_batch`` fetches them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError


class Batches:
    """Random windows of a host array of token ids.

    Args:
        config: gives batch size, block size, vocabulary and seed.
        device: where the batches go; ``cuda`` goes through pinned memory, without blocking.
        tokens: token ids, one dimension; random ones when not given.

    Raises:
        RequestError: fewer than ``block_size + 1`` tokens, or one outside the vocabulary.
    """

    def __init__(self, config: StepConfig, device: str, tokens: Sequence[int] | None = None) -> None:
        self._config = config
        self._device = device
        self._tokens = _random_tokens(config) if tokens is None else _checked(config, np.asarray(tokens))
        # Own generator: a draw elsewhere in the process must not change the data.
        self._generator = torch.Generator().manual_seed(config.seed)
        self._drawn: list[int] = []
        self._pending: list[int] | None = None

    def next(self, split: str = "train") -> tuple[Tensor, Tensor]:
        """Inputs and next-token targets, int64 of shape (B, T), on the device."""
        x, y = self.windows()
        if torch.device(self._device).type == "cuda":
            x, y = (
                x.pin_memory().to(self._device, non_blocking=True),
                y.pin_memory().to(self._device, non_blocking=True),
            )
        else:
            x, y = x.to(self._device), y.to(self._device)
        return x, y

    def windows(self) -> tuple[Tensor, Tensor]:
        """Inputs and next-token targets, int64 of shape (B, T), on the host."""
        length = self._config.block_size
        starts, self._pending = self._pending or self._starts(), None
        self._drawn = starts
        x = torch.stack([self._window(start, length) for start in starts])
        y = torch.stack([self._window(start + 1, length) for start in starts])
        return x, y

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What is drawn inside, by an evaluation, is not the batch that the loop goes on with."""
        drawn = self._drawn
        try:
            yield
        finally:
            self._drawn = drawn

    def state(self) -> dict[str, Any]:
        """What a resumed run needs to go on with the batch that is fetched but not yet trained on.

        nanoGPT saves none of it: its resumed run draws the first batches again.
        """
        # As text: what a checkpoint holds in tensors is moved to the device when it is loaded.
        return {"pending": self._drawn, "generator": self._generator.get_state().numpy().tobytes().hex()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on where ``state`` was asked for."""
        raw = torch.frombuffer(bytearray.fromhex(state["generator"]), dtype=torch.uint8)
        self._generator.set_state(raw)
        self._pending = list(state["pending"])

    def _starts(self) -> list[int]:
        high = len(self._tokens) - self._config.block_size
        starts: list[int] = torch.randint(high, (self._config.batch,), generator=self._generator).tolist()
        return starts

    def _window(self, start: int, length: int) -> Tensor:
        return torch.from_numpy(self._tokens[start : start + length].astype(np.int64))


def _random_tokens(config: StepConfig) -> NDArray[np.uint32]:
    random = np.random.default_rng(config.seed)
    count = max(1 << 16, 4 * config.block_size)
    return random.integers(0, config.vocab_size, size=count, dtype=np.uint32)


def _checked(config: StepConfig, tokens: NDArray[np.integer]) -> NDArray[np.integer]:
    if tokens.ndim != 1 or len(tokens) < config.block_size + 1:
        raise RequestError(
            f"tokens: expected one dimension of at least block_size + 1 = {config.block_size + 1}, "
            f"found shape {tokens.shape}",
            hint="give more text, or choose a smaller block_size",
        )
    if int(tokens.min()) < 0 or int(tokens.max()) >= config.vocab_size:
        raise RequestError(
            f"tokens: expected ids from 0 to {config.vocab_size - 1}, found {tokens.min()} to {tokens.max()}",
            hint="choose a vocab_size above the largest token id",
        )
    return tokens
