"""What the stacks of the script held at a moment, and at the most: what two runs are compared by.

Everything alive is in it, so that its bytes add up: what is beyond the largest stacks stands together, by
group and without a stack.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Hashable, Sequence
from typing import TypeVar

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.journal_entries import Frame
from nanocheck.attribution.phases import Band
from nanocheck.attribution.process_figures import Figures
from nanocheck.attribution.replay import Allocation
from nanocheck.core.stacks import CodeFrame, StackHolding

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
        self._keys: list[_Key] = []
        known: dict[_Key, int] = {}
        places: dict[tuple[str, int, Frame | None], int] = {}
        self._key_of: list[int] = []  # of each allocation, among the keys
        allocations = figures.replay.allocations
        bands = grouping.bands_of(allocations, figures.bands)
        for one, group, band in zip(allocations, figures.groups, bands, strict=True):
            short = (group, one.stack, _backward(band))
            if short not in places:
                key = (group, self._frames(one, band))
                if key not in known:
                    known[key] = len(self._keys)
                    self._keys.append(key)
                places[short] = known[key]
            self._key_of.append(places[short])
        self._most = self._highest()

    def at(self, event: int | None) -> tuple[StackHolding, ...]:
        """All stacks that ever held anything, with what they hold just after an event, the largest first;
        nothing without an event.
        """
        if event is None:
            return ()
        alive: dict[int, list[Allocation]] = defaultdict(list)
        for one in self._figures.alive_at(event):
            alive[self._key_of[one.number]].append(one)
        held = {number: sum(one.requested_bytes for one in some) for number, some in alive.items()}
        ordered = sorted(self._most, key=lambda number: (-held.get(number, 0), -self._most[number]))
        rest: dict[str, list[Allocation]] = defaultdict(list)
        for number in ordered[_MOST:]:
            rest[self._keys[number][0]] += alive.get(number, ())
        return (
            *(
                self._holding(self._keys[number], alive.get(number, []), self._most[number])
                for number in ordered[:_MOST]
            ),
            *(self._holding((group, ()), some, 0) for group, some in rest.items() if some),
        )

    def request(
        self, event: int, size: int, shape: tuple[int, ...] | None, where: Frame | None
    ) -> StackHolding:
        """What was asked for when memory ran out.

        Args:
            size: in bytes. where: the script's line then, for a thread that has no stack.
        """
        places = self._figures.places
        frames = places.calls_of(self._figures.seen.events[event][3])
        if not frames and where is not None:
            frames = places.calls((where,))
        return StackHolding(bytes=size, most_bytes=size, count=1, group=REQUEST, frames=frames, shape=shape)

    def _frames(self, one: Allocation, band: Band | None) -> tuple[CodeFrame, ...]:
        """Its calls; autograd's threads have no stack, so there it is the line that began the backward."""
        places = self._figures.places
        began = _backward(band)
        return places.calls_of(one.stack) or (() if began is None else places.calls((began,)))

    def _highest(self) -> dict[int, int]:
        """The most that each key held at once, since the first event that counts."""
        since = self._figures.since
        counted = [one for one in self._figures.replay.allocations if one.died is None or one.died >= since]
        deaths = deque(sorted((one.died, one.number, one.requested_bytes) for one in counted if one.died))
        level: Counter[int] = Counter()
        found: dict[int, int] = {}
        for one in counted:  # in the order in which they were born
            while deaths and deaths[0][0] < one.born:
                _, number, size = deaths.popleft()
                level[self._key_of[number]] -= size
            key = self._key_of[one.number]
            level[key] += one.requested_bytes
            found[key] = max(found.get(key, 0), level[key])
        return found

    def _holding(self, key: _Key, some: Sequence[Allocation], most: int) -> StackHolding:
        figures = self._figures
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
