"""The figures of one process: peaks, phases, groups, largest allocations, the picture's points."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.phases import Band, find_bands
from nanocheck.attribution.places import Places
from nanocheck.attribution.recovery import Recovered, recovered
from nanocheck.attribution.replay import Allocation, Replay
from nanocheck.core import result
from nanocheck.core.result import Fragmentation, Group, Holding, Peak, Timeline

_LARGEST = 25
_POINTS = 1400


@dataclass
class Figures:
    """Everything that follows from the events of one process."""

    seen: Observation
    replay: Replay
    bands: list[Band]
    places: Places
    recovered: Recovered | None = None

    @classmethod
    def of(cls, seen: Observation) -> Figures:
        """Replay and divide the events of a process."""
        replay = Replay(seen.settings).feed(seen.events)
        return cls(seen, replay, find_bands(seen), Places.of(seen), recovered(seen))

    @property
    def since(self) -> int:
        """The first event that counts: where a script looked for its batch, what it tried before does not."""
        return 0 if self.recovered is None else self.recovered.since

    @cached_property
    def groups(self) -> list[str]:
        """The group of each allocation."""
        return grouping.assign(self.seen, self.replay.allocations, self.bands, self.places, self._claims)

    @cached_property
    def _claims(self) -> dict[int, grouping.Claim]:
        return grouping.claims(self.seen, self.replay.allocations)

    @cached_property
    def peak_event(self) -> int | None:
        """The event at which most was allocated."""
        levels = self.replay.levels
        return max(range(self.since, len(levels)), key=lambda index: levels[index][0], default=None)

    @cached_property
    def reserved_event(self) -> int | None:
        """The event at which most was reserved."""
        levels = self.replay.levels
        return max(range(self.since, len(levels)), key=lambda index: levels[index][1], default=None)

    def peak(self) -> tuple[int, int]:
        """Allocated and reserved: PyTorch's own peaks where it reported them, so that a hole in the history
        shows; else the replay's."""
        counted = {} if self.since else self.seen.last
        levels, at, widest = self.replay.levels, self.peak_event, self.reserved_event
        allocated = 0 if at is None else levels[at][0]
        reserved = 0 if widest is None else levels[widest][1]
        # The script may have reset PyTorch's peaks: the replay has not forgotten.
        return max(counted.get("allocated_peak", 0), allocated), max(
            counted.get("reserved_peak", 0), reserved
        )

    def alive_at(self, event: int | None) -> list[Allocation]:
        """Allocations that live just after an event; none without one."""
        if event is None:
            return []
        return [
            one
            for one in self.replay.allocations
            if one.born <= event and (one.died is None or one.died > event)
        ]

    def table(self, event: int | None, total: int) -> tuple[Group, ...]:
        """Bytes by group just after an event; sums to ``total``, whatever could not be named included."""
        sizes: Counter[str] = Counter()
        counts: Counter[str] = Counter()
        rounding = 0
        for one in self.alive_at(event):
            group = self.groups[one.number]
            sizes[group] += one.requested_bytes
            counts[group] += 1
            rounding += one.size_bytes - one.requested_bytes
        rows = [
            Group(group=name, bytes=sizes[name], count=counts[name])
            for name in grouping.ORDER
            if counts[name]
        ]
        if rounding:
            rows.append(Group(group=grouping.ROUNDING, bytes=rounding))
        rest = total - sum(sizes.values()) - rounding
        if rest:
            rows.append(Group(group=grouping.UNSEEN, bytes=rest))
        return tuple(rows)

    def largest(self, event: int) -> tuple[Holding, ...]:
        """The largest allocations alive just after an event; equal ones of one place are one row."""
        rows: dict[tuple[Any, ...], list[Allocation]] = defaultdict(list)
        for one in self.alive_at(event):
            key = (one.requested_bytes, self.groups[one.number], self.places.of_stack(one.stack).where)
            rows[key].append(one)
        ordered = sorted(rows.values(), key=lambda each: -each[0].requested_bytes * len(each))
        return tuple(self._holding(each) for each in ordered[:_LARGEST])

    def _holding(self, equal: Sequence[Allocation]) -> Holding:
        one = equal[0]
        band = self.band_at(one.born)
        place = self.places.of_stack(one.stack)
        if place.where is None and band is not None and band.phase == "backward":
            place = self.places.of_frame(band.where)
        return Holding(
            bytes=one.requested_bytes * len(equal),
            count=len(equal),
            group=self.groups[one.number],
            where=place.where,
            line=place.line,
            shape=self.shape_of(one),
            phase=band.phase if band else None,
            step=band.step if band else 0,
        )

    def shape_of(self, one: Allocation) -> tuple[int, ...] | None:
        """As the generated code or a live object says it; ``None``: nobody does."""
        place = self.places.of_stack(one.stack)
        exact = place.bytes_of_shape == one.requested_bytes
        _, claimed = self._claims.get(one.number, ("", []))
        return place.shape if place.shape and exact else tuple(claimed) or None

    def band_at(self, event: int) -> Band | None:
        """The band an event lies in."""
        return next((band for band in self.bands if band.first <= event <= band.last), None)

    def peaks(self) -> tuple[Peak, ...]:
        """Peaks of each phase and step, in the order in which they began."""
        found: dict[tuple[str, int], tuple[int, int]] = {}
        levels = self.replay.levels
        for band in self.bands:
            if band.last < self.since:
                continue
            inside = levels[max(0, band.first - 1, self.since) : band.last + 1]
            allocated, reserved = found.get((band.phase, band.step), (0, 0))
            found[band.phase, band.step] = (
                max(allocated, max(each[0] for each in inside)),
                max(reserved, max(each[1] for each in inside)),
            )
        return tuple(
            Peak(phase=phase, step=step, allocated_bytes=allocated, reserved_bytes=reserved)
            for (phase, step), (allocated, reserved) in found.items()
        )

    def fragmentation(self) -> Fragmentation | None:
        """When most was reserved; ``None`` where nothing was."""
        if self.reserved_event is None:
            return None
        allocated, reserved = self.replay.levels[self.reserved_event]
        return Fragmentation(reserved_bytes=reserved, allocated_bytes=allocated)

    def timeline(self) -> Timeline:
        """Points of the picture: bytes by group after chosen events, each stretch's peak among them."""
        there = set(self.groups)
        names = [*(each for each in grouping.ORDER if each in there), grouping.ROUNDING]
        chosen = set(self._chosen())
        level = dict.fromkeys(names, 0)
        points = []
        births = iter(self.replay.allocations)
        one = next(births, None)
        deaths = defaultdict(list)
        for each in self.replay.allocations:
            if each.died is not None:
                deaths[each.died].append(each)
        for event, (_, reserved) in enumerate(self.replay.levels):
            if one is not None and one.born == event:
                _add(level, self.groups[one.number], one, 1)
                one = next(births, None)
            for each in deaths.get(event, ()):
                _add(level, self.groups[each.number], each, -1)
            if event in chosen:
                points.append((event, reserved, *level.values()))
        bands = tuple(
            result.Band(phase=band.phase, step=band.step, first=band.first, last=band.last)
            for band in self.bands
        )
        return Timeline(groups=tuple(names), points=tuple(points), bands=bands)

    def _chosen(self) -> Iterable[int]:
        """Of every stretch of events the one with the most allocated and the last one."""
        levels = self.replay.levels
        stretch = max(1, -(-len(levels) // (_POINTS // 2)))
        for first in range(0, len(levels), stretch):
            part = range(first, min(first + stretch, len(levels)))
            yield max(part, key=lambda index: levels[index][0])
            yield part[-1]


def _add(level: dict[str, int], group: str, one: Allocation, sign: int) -> None:
    level[group] += sign * one.requested_bytes
    level[grouping.ROUNDING] += sign * (one.size_bytes - one.requested_bytes)
