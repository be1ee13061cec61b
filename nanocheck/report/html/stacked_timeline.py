"""A process's timeline, made ready to draw: the groups in stacking order, the peak, the card's limits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from nanocheck.core.device import Device
from nanocheck.core.result import Band, OutOfMemory, ProcessMemory
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.scale import Scale

#: The limits are drawn where the run came to at least this part of them; below, the picture would be flat.
_NEAR = 0.25
#: A failed request is drawn to at most this many times the card.
_REQUEST = 1.3


@dataclass(frozen=True, kw_only=True)
class Span:
    """A band, cut to the events that were recorded: ``first`` up to, and not including, ``end``."""

    phase: str
    step: int
    first: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Request:
    """The request that found no room: it starts where the reserved memory ended."""

    event: int
    base_bytes: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class StackedTimeline:
    """What the picture shows; sizes in bytes.

    Attributes:
        groups: bottom to top. events: one for each point.
        reserved: at each point. tops: for each group, what lies below its upper edge at each point.
        spans: phases, in their order.
        card: where the limits come from; None for a device without memory of its own.
        limits_drawn: whether the scale reaches them.
    """

    groups: list[str]
    events: list[int]
    reserved: list[int]
    tops: list[list[int]]
    spans: list[Span]
    scale: Scale
    card: Device | None
    limits_drawn: bool
    request: Request | None

    @property
    def peak(self) -> int:
        """The place of the point with most allocated; the first of equals."""
        top = self.tops[-1] if self.tops else self.reserved
        return max(range(len(top)), key=lambda place: (top[place], -place))

    @property
    def peak_event(self) -> int:
        """The event of that point."""
        return self.events[self.peak]

    @property
    def peak_bytes(self) -> int:
        """What all groups hold there."""
        return self.tops[-1][self.peak] if self.tops else 0

    @property
    def peak_span(self) -> Span | None:
        """The phase that it lies in."""
        return next((each for each in self.spans if each.first <= self.peak_event < each.end), None)

    @property
    def held_at_peak(self) -> list[tuple[str, int]]:
        """Each group with its bytes there, bottom to top."""
        edges = [top[self.peak] for top in self.tops]
        sizes = [upper - lower for lower, upper in zip([0, *edges], edges, strict=False)]
        return list(zip(self.groups, sizes, strict=True))


def of(process: ProcessMemory, device: Device, palette: Palette) -> StackedTimeline | None:
    """The timeline of one process, or ``None`` when it never held a byte of the card."""
    raw = process.timeline
    if raw is None or not any(any(point[1:]) for point in raw.points):
        return None
    points = sorted(raw.points, key=lambda point: point[0])
    groups = palette.stacked(raw.groups)
    column = {name: 2 + place for place, name in enumerate(raw.groups)}
    events = [point[0] for point in points]
    stacks = [list(accumulate(point[column[name]] for name in groups)) for point in points]
    tops = [[stack[place] for stack in stacks] for place in range(len(groups))]
    reserved = [point[1] for point in points]
    card = device if device.capacity_bytes > 0 else None
    spans = _spans(raw.bands, events[0], events[-1] + 1)
    request = _request(process.oom, spans, events, reserved, card)
    highest = max(max(edge) for edge in (reserved, *tops[-1:]))
    drawn = card is not None and (highest >= _NEAR * card.available_bytes or request is not None)
    top = round(highest * 1.06) + 1
    if drawn and card is not None:
        wanted = 0 if request is None else request.base_bytes + request.size_bytes
        top = max(
            card.capacity_bytes, round(highest * 1.02), min(wanted, round(card.capacity_bytes * _REQUEST))
        )
    # Room at the right for the request that failed.
    end = events[-1] + 1
    if request is not None and request.event >= events[-1]:
        end += max(1, round((end - events[0]) * 0.03))
    return StackedTimeline(
        groups=groups,
        events=events,
        reserved=reserved,
        tops=tops,
        spans=spans,
        scale=Scale(first=events[0], end=end, top_bytes=top),
        card=card,
        limits_drawn=drawn,
        request=request,
    )


def _spans(bands: Iterable[Band], first: int, end: int) -> list[Span]:
    spans = [
        Span(
            phase=band.phase,
            step=band.step,
            first=min(end, max(first, band.first)),
            end=min(end, max(first, band.last + 1)),
        )
        for band in bands
    ]
    return [span for span in spans if span.end > span.first]


def _request(
    oom: OutOfMemory | None,
    spans: Iterable[Span],
    events: Sequence[int],
    reserved: Sequence[int],
    card: Device | None,
) -> Request | None:
    if oom is None or not oom.requested_bytes:
        return None
    # A script that caught the error went on: the last span of that phase and step is where it happened.
    own = [span.end - 1 for span in spans if (span.phase, span.step) == (oom.phase, oom.step)]
    base = reserved[-1]
    if card is not None and oom.free_bytes is not None:
        base = max(0, card.available_bytes - oom.free_bytes)
    return Request(
        event=own[-1] if oom.caught and own else events[-1], base_bytes=base, size_bytes=oom.requested_bytes
    )
