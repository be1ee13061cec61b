"""Tokens per optimizer step, kept the same while batch and accumulation trade places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanocheck.core.errors import RequestError

#: A batch that misses the nearest number of tokens must be so much faster than one that meets it, and may
#: miss it by so much: another number of tokens is another training run, which little speed does not repay.
WORTH, MOST_OFF = 1.05, 0.02


@dataclass(frozen=True, kw_only=True)
class Split:
    """One way to take a step: ``batch`` sequences at a time, ``accumulation`` times."""

    batch: int
    accumulation: int
    block_size: int
    asked: int

    @property
    def tokens(self) -> int:
        """Tokens that a step really has."""
        return self.batch * self.accumulation * self.block_size

    @property
    def exact(self) -> bool:
        return self.tokens == self.asked

    @property
    def nearest(self) -> bool:
        """Whether no other number of whole sequences is nearer to what was asked."""
        return self.batch * self.accumulation == split(self.asked, self.block_size, 1).accumulation

    @property
    def deviation(self) -> float:
        """Fraction by which ``tokens`` misses what was asked; 0 is exact."""
        return self.tokens / self.asked - 1


def split(asked: int, block_size: int, batch: int) -> Split:
    """The accumulation whose tokens are nearest to those asked; of two equally near ones the smaller."""
    whole, rest = divmod(asked, batch * block_size)
    accumulation = max(1, whole + (2 * rest > batch * block_size))
    return Split(batch=batch, accumulation=accumulation, block_size=block_size, asked=asked)


def splits(asked: int, block_size: int) -> list[Split]:
    """One for every batch from 1 sequence on to the whole step at once that may be an answer at all: those
    with the nearest number of tokens, and those that miss it by no more than ``MOST_OFF``.

    Raises:
        RequestError: a step has no whole sequence.
    """
    if asked < block_size:
        raise RequestError(
            f"--tokens-per-step: expected at least one sequence of {block_size:,} tokens, found {asked:,}",
            hint=f"ask for {block_size} or more, or for a smaller --block-size",
        )
    found = (split(asked, block_size, batch) for batch in range(1, asked // block_size + 1))
    return [each for each in found if abs(each.deviation) <= MOST_OFF or each.nearest]


def worthwhile(found: Sequence[Split], seconds_per_token: Sequence[float]) -> list[Split]:
    """Those splits, by batch, that could be an answer.

    Each is faster than every kept one of a smaller batch; and it has the nearest number of tokens, or is
    ``WORTH`` times as fast as the fastest that has.

    Args:
        found: what ``splits`` gives.
        seconds_per_token: predicted, one for each.
    """
    kept: list[Split] = []
    best = best_nearest = float("inf")
    for each, seconds in zip(found, seconds_per_token, strict=True):
        repays = seconds * WORTH <= best_nearest
        if seconds >= best or not (each.nearest or repays):
            continue
        kept.append(each)
        best = seconds
        if each.nearest:
            best_nearest = seconds
    return kept
