"""From the events of a process to its ``RequestLog``: which block served each request.

The allocator asks the driver only for the request at hand, so a segment belongs to the allocation that
follows it. Expandable segments are one range that grows: what is mapped at once counts as a piece of its own.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from nanocheck.attribution.command_result import rank_of
from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.process_figures import Figures
from nanocheck.attribution.replay import Allocation, Replay
from nanocheck.core.request_log import Line, Request, RequestLog, Segment

T = TypeVar("T")
#: ``kSmallBuffer``: segments of small blocks have this size, and serve nothing else.
_SMALL_SEGMENT = 2 << 20


@dataclass(slots=True)
class _Piece:
    """A segment that is being followed; ``gone``: the event that gave it back."""

    number: int
    address: int
    bytes: int
    expandable: bool
    made: int
    request: int = -1
    gone: int | None = None


def request_log(seen: Sequence[Observation]) -> RequestLog:
    """Of the process that reserved most; an empty one where none used a GPU."""
    every = [(rank_of(each), Figures.of(each)) for each in seen]
    if not every:
        return RequestLog()
    # Of equal ranks always the same one, whichever process came first.
    rank, figures = max(every, key=lambda each: (each[1].peak()[1], -(each[0] or 0)))
    return msgspec.structs.replace(_Reader(figures).log(), rank=rank)


class _Reader:
    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._replay = Replay(figures.seen.settings)
        self._pieces: list[_Piece] = []
        self._here: dict[int, _Piece] = {}  # those that are held, by address
        self._unclaimed: list[_Piece] = []  # made for the request that comes next
        self._free_bytes = -1
        self._lines: dict[Line, int] = {}
        self._phases: dict[str, int] = {}
        self._requests: list[Request] = []
        self._born: list[int] = []  # events of the requests

    def log(self) -> RequestLog:
        figures = self._figures
        bands = iter(figures.bands)
        band = next(bands, None)
        for number, event in enumerate(figures.seen.events):
            while band is not None and number > band.last:
                band = next(bands, None)
            action, address, size, stack = event
            if action in "SM":
                self._made(number, address, size, expandable=action == "M")
            elif action in "FU":
                self._given_back(number, address, size)
            self._replay.feed([event])
            if action == "a":
                self._take(stack, *((band.phase, band.step) if band else ("build", 0)))
        return self._whole()

    def _whole(self) -> RequestLog:
        peak = self._figures.reserved_event
        at = -1 if peak is None else peak
        return RequestLog(
            phases=tuple(self._phases),
            lines=tuple(self._lines),
            requests=tuple(map(self._let_go, self._requests, self._replay.allocations)),
            segments=tuple(
                Segment(
                    bytes=each.bytes,
                    request=each.request,
                    at_peak=each.made <= at and (each.gone is None or each.gone > at),
                    expandable=each.expandable,
                )
                for each in self._pieces
            ),
            reserved_bytes=0 if peak is None else self._figures.replay.levels[peak][1],
            peak_request=bisect(self._born, at),
        )

    def _let_go(self, request: Request, one: Allocation) -> Request:
        if one.died is None:
            return request
        return msgspec.structs.replace(request, until=bisect(self._born, one.died))

    def _made(self, event: int, address: int, size: int, *, expandable: bool) -> None:
        if not self._unclaimed:
            self._free_bytes = max(
                (
                    bytes_
                    for bytes_, home in self._replay.free_blocks()
                    if self._pool(home) == (size == _SMALL_SEGMENT)
                ),
                default=0,
            )
        piece = _Piece(len(self._pieces), address, size, expandable, event)
        self._pieces.append(piece)
        self._here[address] = piece
        self._unclaimed.append(piece)

    def _pool(self, segment: int) -> bool:
        """Whether a segment is one of small blocks."""
        piece = self._here.get(segment)
        return piece is not None and piece.bytes == _SMALL_SEGMENT

    def _given_back(self, event: int, address: int, size: int) -> None:
        """Pages of an expandable segment can go without the others that came with them."""
        for piece in [each for each in self._here.values() if address <= each.address < address + size]:
            piece.gone = event
            del self._here[piece.address]

    def _take(self, stack: int, phase: str, step: int) -> None:
        one = self._replay.allocations[-1]
        self._born.append(one.born)
        for piece in self._unclaimed:
            piece.request = one.number
        place = self._figures.places.of_stack(stack)
        home = self._home(one.address)
        self._requests.append(
            Request(
                line=_number(self._lines, Line(place.where, place.line)),
                phase=_number(self._phases, phase),
                step=step,
                requested_bytes=one.requested_bytes,
                block_bytes=one.size_bytes,
                segment=-1 if home is None else home.number,
                offset_bytes=0 if home is None else one.address - home.address,
                made_bytes=sum(each.bytes for each in self._unclaimed),
                largest_free_bytes=self._free_bytes if self._unclaimed else -1,
            )
        )
        self._unclaimed.clear()
        self._free_bytes = -1

    def _home(self, address: int) -> _Piece | None:
        start = self._replay.home_of(address)
        if start is not None and start in self._here:
            return self._here[start]
        inside = (each for each in self._here.values() if each.address <= address < each.address + each.bytes)
        return next(inside, None)


def _number(known: dict[T, int], one: T) -> int:
    return known.setdefault(one, len(known))
