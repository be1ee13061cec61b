"""The largest size that fits, found by asking; whether "fits" is monotone is looked at, not assumed."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


class Outcome(Protocol):
    """What is known of one size once it was asked for."""

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
        largest: a size that fits, while the next of the sizes does not; 0 where not even the first fits.
        refused: the smallest asked size beyond it, which does not fit; ``None`` where all sizes fit.
        exceptions: sizes that fit beyond a smaller one that does not.
    """

    largest: int
    refused: int | None
    exceptions: tuple[int, ...]


#: Asks for sizes, is sent their outcomes.
Asking = Generator[int, Outcome, Found]

#: Guesses that follow the line through two outcomes, before halves are taken: a bad line must not cost
#: more than a few runs.
_GUESSES = 4
#: Sizes beyond the frontier that are asked for, as multiples of the smallest that does not fit.
PROBES = (1.25, 1.5, 2.0)


def largest(
    sizes: Sequence[int], limit_bytes: int, *, start: int | None = None, probes: Sequence[float] = PROBES
) -> Asking:
    """Bisect ``sizes``, which rise, and then probe a few larger ones.

    It ends with a size that fits beside one that does not, both asked for, whatever the function is; where
    it is monotone, that is the largest that fits. Where a probe fits, it is among the exceptions.

    Args:
        limit_bytes: what there is; guesses aim at it.
        start: which size to ask for first: the nearest that is there; the first of them by default.
        probes: multiples of the smallest size that does not fit, to be asked for in the end.
    """
    seen: dict[int, Outcome] = {}
    low, high = -1, len(sizes)
    at = 0 if start is None else _nearest(sizes, start)
    guesses = 0
    while high - low > 1:
        size = sizes[at]
        seen[size] = yield size
        if seen[size].fits:
            low = at
        else:
            high = at
        at = (low + high) // 2
        if guesses < _GUESSES:
            guesses += 1
            at = _guess(sizes, seen, limit_bytes, low, high)
        at = min(max(at, low + 1), high - 1)
    if high < len(sizes):
        for factor in probes:
            probe = _nearest(sizes, factor * sizes[high])
            if probe > high and sizes[probe] not in seen:
                seen[sizes[probe]] = yield sizes[probe]
    refused = min((size for size, each in seen.items() if not each.fits), default=None)
    beyond = (
        () if refused is None else tuple(sorted(s for s, each in seen.items() if each.fits and s > refused))
    )
    return Found(
        largest=sizes[low] if low >= 0 else 0,
        refused=sizes[high] if high < len(sizes) else None,
        exceptions=beyond,
    )


def _guess(sizes: Sequence[int], seen: Mapping[int, Outcome], limit_bytes: int, low: int, high: int) -> int:
    """The last size that a line through the two largest known needs leaves room for; doubled before."""
    known = sorted((size, each.need_bytes) for size, each in seen.items() if each.need_bytes is not None)[-2:]
    if len(known) < 2:
        return (low + high) // 2 if low < 0 else _nearest(sizes, 2 * sizes[low])
    (first, need), (second, more) = known
    slope = (int(more or 0) - int(need or 0)) / (second - first)
    if slope <= 0:
        return (low + high) // 2
    fitting = second + (limit_bytes - int(more or 0)) / slope
    return max((at for at, size in enumerate(sizes) if size <= fitting), default=0)


def _nearest(sizes: Sequence[int], wanted: float) -> int:
    """Where the size lies that is nearest to the wanted one."""
    return min(range(len(sizes)), key=lambda at: abs(sizes[at] - wanted))


#: Asks for several sizes at once.
AskingSome = Generator[tuple[int, ...], Mapping[int, Outcome], Found]


def dearly(sizes: Sequence[int], limit_bytes: int, *, start: int) -> AskingSome:
    """The same where every run takes long and two can run side by side: no probes, and few sizes.

    First ``start`` and the next larger one. Where both fit, a line through them says whether one more is
    worth its time: ``refused`` is then ``None``, which means that nothing refused it, not that it fits.
    """
    seen: dict[int, Outcome] = {}
    at = _nearest(sizes, start)
    pair = tuple(sizes[at : at + 2])
    while pair:
        seen.update((yield pair))
        low = max((place for place, size in enumerate(sizes) if size in seen and seen[size].fits), default=-1)
        above = [
            place for place, size in enumerate(sizes) if size in seen and not seen[size].fits and place > low
        ]
        if low < 0:  # Downwards, two by two.
            smallest = min(place for place, size in enumerate(sizes) if size in seen)
            pair = tuple(sizes[max(0, smallest - 2) : smallest])
        elif above:
            between = sizes[low + 1 : min(above)]
            third = len(between) // 3
            pair = tuple(between) if len(between) < 3 else (between[third], between[2 * third])
        else:
            top = max(place for place, size in enumerate(sizes) if size in seen)
            last = max(top, _guess(sizes, seen, limit_bytes, low, len(sizes)))
            pair = tuple(sizes[top + 1 : last + 1][-2:])
    fitting = [size for size, each in seen.items() if each.fits]
    largest_size = max(fitting, default=0)
    refused = [size for size, each in seen.items() if not each.fits]
    return Found(
        largest=largest_size,
        refused=min((size for size in refused if size > largest_size), default=None),
        exceptions=tuple(sorted(s for s in fitting if any(r < s for r in refused))),
    )
