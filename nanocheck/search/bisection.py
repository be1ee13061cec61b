"""The largest size that fits, found by asking; whether "fits" is monotone is looked at, not assumed.

One search for all: ``largest_that_fits`` yields the sizes to run, is sent what came out, and returns what it
found. Cheap runs are asked for one at a time, dear ones two side by side.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Outcome(Protocol):
    """What is known of one size once it was run."""

    @property
    def fits(self) -> bool: ...

    @property
    def need_bytes(self) -> int | None:
        """What it took, for a guess at the next size; ``None`` where that is not known."""
        ...


@dataclass(frozen=True)
class Found:
    """
    Attributes:
        largest: the largest size that was seen to fit below one that does not; 0 where none fits.
        refused: the smallest size beyond it that was run and does not fit; ``None`` where none was refused.
        exceptions: sizes that fit beyond a smaller one that does not.
    """

    largest: int
    refused: int | None
    exceptions: tuple[int, ...]


#: Yields sizes to run at once, is sent their outcomes.
Bisection = Generator[tuple[int, ...], Mapping[int, Outcome], Found]

#: Guesses that follow the line through two outcomes, before halves are taken: a bad line must not cost
#: more than a few runs.
_GUESSES = 4
#: Sizes beyond the frontier that are asked for, as multiples of the smallest that does not fit.
PROBES = (1.25, 1.5, 2.0)


def neighbours(low: int, high: int) -> bool:
    """Go on until a size that fits lies beside one that does not."""
    return False


def largest_that_fits(
    sizes: Sequence[int],
    limit_bytes: int,
    *,
    start: int | None = None,
    known: Mapping[int, Outcome] | None = None,
    probes: Sequence[float] = PROBES,
    close_enough: Callable[[int, int], bool] = neighbours,
) -> Bisection:
    """Bisect ``sizes``, which rise, one run at a time, and then probe a few larger ones.

    It ends with a size that fits beside one that does not, both run, whatever the function is; where it is
    monotone, that is the largest that fits. Where a probe fits, it is among the exceptions.

    Args:
        limit_bytes: what there is; guesses aim at it.
        start: which size to ask for first: the nearest that is there; the first of them by default.
        known: outcomes that need no run.
        probes: multiples of the smallest size that does not fit, to be asked for in the end.
        close_enough: whether a size that fits and one that does not are near enough to stop between them.
    """
    bracket = _Bracket(sizes, limit_bytes, dict(known or {}))
    at = 0 if start is None else _nearest(sizes, start)
    if bracket.seen:
        at = bracket.next_guess(_GUESSES)
    for guesses_left in _countdown(_GUESSES):
        low, high = bracket.low, bracket.high
        if high - low <= 1 or (low >= 0 and high < len(sizes) and close_enough(sizes[low], sizes[high])):
            break
        at = min(max(at, low + 1), high - 1)
        bracket.seen.update((yield (sizes[at],)))
        at = bracket.next_guess(guesses_left)
    low, high = bracket.low, bracket.high
    if high < len(sizes):
        for factor in probes:
            probe = _nearest(sizes, factor * sizes[high])
            if probe > high and sizes[probe] not in bracket.seen:
                bracket.seen.update((yield (sizes[probe],)))
    return Found(
        largest=sizes[low] if low >= 0 else 0,
        refused=sizes[high] if high < len(sizes) else None,
        exceptions=bracket.exceptions(),
    )


def largest_in_pairs(sizes: Sequence[int], limit_bytes: int, *, start: int) -> Bisection:
    """The same where every run takes long and two can run side by side: no probes, and few sizes.

    First ``start`` and the next larger one. Where both fit, a line through them says whether one more is
    worth its time: ``refused`` is then ``None``, which means that nothing refused it, not that it fits.
    """
    bracket = _Bracket(sizes, limit_bytes, {})
    at = _nearest(sizes, start)
    pair = tuple(sizes[at : at + 2])
    while pair:
        bracket.seen.update((yield pair))
        low, high = bracket.low, bracket.high
        if low < 0:  # downwards, two by two
            pair = tuple(sizes[max(0, high - 2) : high])
        elif high < len(sizes):
            between = sizes[low + 1 : high]
            third = len(between) // 3
            pair = tuple(between) if len(between) < 3 else (between[third], between[2 * third])
        else:
            last = max(low, bracket.next_guess(1))
            pair = tuple(sizes[low + 1 : last + 1][-2:])
    return Found(
        largest=sizes[bracket.low] if bracket.low >= 0 else 0,
        refused=sizes[bracket.high] if bracket.high < len(sizes) else None,
        exceptions=bracket.exceptions(),
    )


@dataclass
class _Bracket:
    """What is known so far, and the places between which the answer lies."""

    sizes: Sequence[int]
    limit_bytes: int
    seen: dict[int, Outcome] = field(default_factory=dict)

    @property
    def low(self) -> int:
        """The place of the largest size that fits below all larger refusals; -1 without one."""
        return max((at for at, size in self._places() if self.seen[size].fits), default=-1)

    @property
    def high(self) -> int:
        """The place of the smallest size above ``low`` that does not fit; one beyond the last without one."""
        low = self.low
        refused = (at for at, size in self._places() if at > low and not self.seen[size].fits)
        return min(refused, default=len(self.sizes))

    def _places(self) -> list[tuple[int, int]]:
        at = ((bisect_left(self.sizes, size), size) for size in sorted(self.seen))
        return [(place, size) for place, size in at if place < len(self.sizes) and self.sizes[place] == size]

    def exceptions(self) -> tuple[int, ...]:
        refused = min((size for size, each in self.seen.items() if not each.fits), default=None)
        fitting = (size for size, each in self.seen.items() if each.fits)
        return () if refused is None else tuple(sorted(size for size in fitting if size > refused))

    def next_guess(self, guesses_left: int) -> int:
        """The place to look at next: where a line through two known needs meets the limit.

        Through those between which the answer lies, where both are known; else through the two largest.
        Through one need, a line from the origin: it asks for too little, since something is always held. The
        middle where there is no line, or it has been wrong too often.
        """
        low, high = self.low, self.high
        middle = (low + high) // 2
        known = ((size, each.need_bytes) for size, each in self.seen.items())
        needs = sorted((size, need) for size, need in known if need is not None)
        around = [self.sizes[each] for each in (low, high) if 0 <= each < len(self.sizes)]
        between = [each for each in needs if each[0] in around]
        needs = between if len(between) == 2 else needs[-2:]
        if guesses_left <= 0 or not needs:
            return middle
        (first, need), (second, more) = needs[0], needs[-1]
        slope = (more - need) / (second - first) if len(needs) == 2 else more / second
        if slope <= 0:
            return middle
        fitting = second + (self.limit_bytes - more) / slope
        return max(bisect_right(self.sizes, fitting) - 1, 0)


def _countdown(number: int) -> Generator[int, None, None]:
    """``number``, down to 0, and 0 for ever."""
    while True:
        number = max(0, number - 1)
        yield number


def _nearest(sizes: Sequence[int], wanted: float) -> int:
    """Where the size lies that is nearest to the wanted one."""
    return min(range(len(sizes)), key=lambda at: abs(sizes[at] - wanted))
