"""How long the samples are that a DataLoader has not handed out yet.

Asked only where nothing of the script's own would run: of datasets that are plain lists or tuples of tensors,
of lists of numbers, or of tuples, lists and dicts of such.
"""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import torch
from torch.utils.data import DataLoader

_MOST = 1_000_000  # samples; of more nothing is said


class Loaders:
    """The DataLoaders that were iterated over."""

    def __init__(self) -> None:
        self._asked: set[tuple[int, int]] = set()  # datasets: nothing of theirs is kept alive
        self.longest_sample = 0  # 0: not known

    def install(self) -> None:
        """Watch from now on."""
        original = DataLoader.__iter__
        loaders = self

        @functools.wraps(original)
        def iterate(self: DataLoader[Any]) -> Any:
            with contextlib.suppress(Exception):  # the script must not notice
                loaders._ask(self.dataset)
            return original(self)

        DataLoader.__iter__ = iterate  # type: ignore[method-assign]

    def _ask(self, dataset: Any) -> None:
        if type(dataset) in (list, tuple) and (id(dataset), len(dataset)) not in self._asked:
            self._asked.add((id(dataset), len(dataset)))
            self.longest_sample = max([self.longest_sample, *lengths(dataset)])


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
