"""How long the samples are that a DataLoader has not handed out yet; where asked, the longest come early.

Asked only where nothing of the script's own would run: of datasets that are plain lists or tuples of tensors,
of lists of numbers, or of tuples, lists and dicts of such.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, SequentialSampler

_MOST = 1_000_000  # samples; of more nothing is said
NOT_ASKED, ARRANGED, NOT_POSSIBLE = "not asked", "arranged", "not possible"


class Loaders:
    """The DataLoaders that were iterated over.

    Args:
        longest: hand out, as every second batch, the longest samples together.
    """

    def __init__(self, *, longest: bool = False) -> None:
        self._asked: set[tuple[int, int]] = set()  # datasets: nothing of theirs is kept alive
        self.longest_sample = 0  # 0: not known
        self.longest_batches = NOT_POSSIBLE if longest else NOT_ASKED

    def install(self) -> None:
        """Watch from now on."""
        original = DataLoader.__iter__
        loaders = self

        @functools.wraps(original)
        def iterate(self: DataLoader[Any]) -> Any:
            with contextlib.suppress(Exception):  # the script must not notice
                loaders._ask(self.dataset)
            with loaders._arranged(self):
                return original(self)

        DataLoader.__iter__ = iterate  # type: ignore[method-assign]

    def _ask(self, dataset: Any) -> None:
        if type(dataset) in (list, tuple) and (id(dataset), len(dataset)) not in self._asked:
            self._asked.add((id(dataset), len(dataset)))
            self.longest_sample = max([self.longest_sample, *lengths(dataset)])

    @contextlib.contextmanager
    def _arranged(self, loader: DataLoader[Any]) -> Iterator[None]:
        """Another sampler of batches while an iterator is made, which keeps it."""
        own = loader.batch_sampler
        if (
            self.longest_batches == NOT_ASKED
            or type(own) is not BatchSampler
            or type(own.sampler) not in (RandomSampler, SequentialSampler)
            or not (known := lengths(loader.dataset))
        ):
            yield
            return
        indices = sorted(range(len(known)), key=lambda index: -known[index])[: own.batch_size]
        # Setting it is refused once a loader is made.
        loader.__dict__["batch_sampler"] = _EverySecond(own, indices)
        try:
            yield
        finally:
            loader.__dict__["batch_sampler"] = own
        self.longest_batches = ARRANGED


class _EverySecond(BatchSampler):
    """The sampler's own batches, but every second one is this one: with the optimizer's state there, with the
    gaps that other lengths leave, and whatever number of batches a step takes.
    """

    def __init__(self, own: BatchSampler, batch: list[int]) -> None:
        self._own, self._batch = own, batch

    def __iter__(self) -> Iterator[list[int]]:
        for number, batch in enumerate(self._own):
            yield self._batch if number % 2 else batch

    def __len__(self) -> int:
        return len(self._own)


def lengths(dataset: Any) -> list[int]:
    """Of every sample, or [] where they are not known."""
    if type(dataset) not in (list, tuple) or len(dataset) > _MOST:
        return []
    found = [_length(each) for each in dataset]
    return found if all(found) else []


def _length(sample: Any, depth: int = 3) -> int:
    if type(sample) is torch.Tensor:
        return int(sample.shape[0]) if sample.dim() else 0
    if type(sample) is dict:
        return max((_length(each, depth - 1) for each in sample.values()), default=0) if depth else 0
    if type(sample) in (list, tuple):
        if all(type(each) in (int, float, bool) for each in sample):
            return len(sample)
        return max((_length(each, depth - 1) for each in sample), default=0) if depth else 0
    return 0
