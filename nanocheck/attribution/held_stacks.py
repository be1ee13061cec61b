"""What the stacks of the script held at a moment, and at the most: what two runs are compared by.

Everything alive is in it, so that its bytes add up: what is beyond the largest stacks stands together, by
group and without a stack.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable
from typing import TypeVar

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.journal_entries import Frame
from nanocheck.attribution.phases import Band
from nanocheck.attribution.process_figures import Figures
from nanocheck.attribution.replay import Allocation
from nanocheck.core.result import CodeFrame, StackHolding

#: Stacks that are told apart, each some 300 bytes in a file.
_MOST = 200
#: The group of what was asked for when memory ran out.
REQUEST = "the request that failed"

_T = TypeVar("_T", bound=Hashable)
#: Group and frames.
_Key = tuple[str, tuple[CodeFrame, ...]]


class HeldStacks:
    """Of one process."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        known: dict[_Key, _Key] = {}  # one object for each, so that most look-ups need not compare
        places: dict[tuple[str, int, object], _Key] = {}
        self._keys: list[_Key] = []
        allocations = figures.replay.allocations
        bands = grouping.bands_of(allocations, figures.bands)
        for one, group, band in zip(allocations, figures.groups, bands, strict=True):
            short = (group, one.stack, _backward(band))
            if short not in places:
                key = (group, self._frames(one, band))
                places[short] = known.setdefault(key, key)
            self._keys.append(places[short])
        self._most = self._highest()

    def at(self, event: int | None) -> tuple[StackHolding, ...]:
        """All stacks that ever held anything, with what they hold just after an event, the largest first;
        nothing without an event.
        """
        if event is None:
            return ()
        alive: dict[_Key, list[Allocation]] = defaultdict(list)
        for one in self._figures.alive_at(event):
            alive[self._keys[one.number]].append(one)
        ordered = sorted(
            self._most,
            key=lambda key: (-sum(each.requested_bytes for each in alive.get(key, ())), -self._most[key]),
        )
        rest: dict[str, list[Allocation]] = defaultdict(list)
        for key in ordered[_MOST:]:
            rest[key[0]] += alive.get(key, ())
        folded = [self._holding((group, ()), some, 0) for group, some in rest.items() if some]
        return (
            *(self._holding(key, alive.get(key, []), self._most[key]) for key in ordered[:_MOST]),
            *folded,
        )

    def request(self, event: int, size: int, shape: tuple[int, ...] | None) -> StackHolding:
        """What was asked for when memory ran out.

        Args:
            size: in bytes.
        """
        frames = self._figures.places.calls_of(self._figures.seen.events[event][3])
        return StackHolding(bytes=size, most_bytes=size, count=1, group=REQUEST, frames=frames, shape=shape)

    def _frames(self, one: Allocation, band: Band | None) -> tuple[CodeFrame, ...]:
        """Its calls; autograd's threads have no stack, so there it is the line that began the backward."""
        places = self._figures.places
        began = _backward(band)
        return places.calls_of(one.stack) or (() if began is None else places.calls((began,)))

    def _highest(self) -> dict[_Key, int]:
        """The most that each key held at once, since the first event that counts."""
        figures, since = self._figures, self._figures.since
        level: Counter[_Key] = Counter()
        found: dict[_Key, int] = {}
        changes: list[tuple[int, int, Allocation]] = []
        for one in figures.replay.allocations:
            if one.died is not None and one.died < since:
                continue
            changes.append((max(one.born, since), 1, one))
            if one.died is not None:
                changes.append((one.died, -1, one))
        for _, sign, one in sorted(changes, key=lambda each: each[:2]):
            key = self._keys[one.number]
            level[key] += sign * one.requested_bytes
            found[key] = max(found.get(key, 0), level[key])
        return found

    def _holding(self, key: _Key, some: Iterable[Allocation], most: int) -> StackHolding:
        figures, some = self._figures, list(some)
        group, frames = key
        held = sum(one.requested_bytes for one in some)
        return StackHolding(
            bytes=held,
            most_bytes=max(most, held),
            count=len(some),
            group=group,
            frames=frames,
            shape=_only({figures.shape_of(one) for one in some}),
            dtype=_only({figures.places.of_stack(one.stack).dtype for one in some}),
        )


def _backward(band: Band | None) -> Frame | None:
    """The line that began the backward a band is of."""
    return band.where if band is not None and band.phase == "backward" else None


def _only(values: set[_T | None]) -> _T | None:
    """The value that all share."""
    return next(iter(values)) if len(values) == 1 else None
