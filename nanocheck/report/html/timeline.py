"""A process's timeline, made ready to draw: the groups in stacking order, the peak, the card's limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from nanocheck.report.html.palette import Palette
from nanocheck.report.html.scale import Scale

#: The limits are drawn where the run came to at least this part of them; below, the picture would be flat.
_NEAR = 0.25
#: A failed request is drawn to at most this many times the card.
_REQUEST = 1.3


@dataclass(frozen=True, kw_only=True)
class Band:
    """A stretch of events: ``first`` up to, and not including, ``end``."""

    phase: str
    step: int | None
    first: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Request:
    """The request that found no room: it starts where the reserved memory ended."""

    event: int
    base_bytes: int
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """What the picture shows.

    Attributes:
        groups: bottom to top. events: one for each point.
        reserved: bytes at each point. tops: for each group, the bytes below its upper edge at each point.
        limit_bytes: what PyTorch may reserve on the card, None where nobody knows.
        card_bytes: the whole card. limits_drawn: whether the scale reaches them.
    """

    groups: list[str]
    events: list[int]
    reserved: list[int]
    tops: list[list[int]]
    bands: list[Band]
    scale: Scale
    limit_bytes: int | None
    card_bytes: int | None
    limits_drawn: bool
    request: Request | None

    @property
    def peak(self) -> int:
        """The place of the point with most allocated; the first of equals."""
        top = self.tops[-1] if self.tops else self.reserved
        return max(range(len(top)), key=lambda place: (top[place], -place))

    def values(self, place: int) -> list[int]:
        """Bytes of each group at one point."""
        edges = [top[place] for top in self.tops]
        return [upper - lower for lower, upper in zip([0, *edges], edges, strict=False)]


def of(process: Mapping[str, Any], device: Mapping[str, Any], palette: Palette) -> Timeline | None:
    """The timeline of one process, or ``None`` when it never held a byte of the card."""
    raw = process.get("timeline") or {}
    points = sorted(raw.get("points") or (), key=lambda point: point[0])
    if not points or not any(any(point[1:]) for point in points):
        return None
    given = list(raw.get("groups") or ())
    groups = palette.stacked(given)
    column = {name: 2 + place for place, name in enumerate(given)}
    events = [point[0] for point in points]
    stacks = [list(accumulate(point[column[name]] for name in groups)) for point in points]
    tops = [[stack[place] for stack in stacks] for place in range(len(groups))]
    reserved = [point[1] for point in points]
    limit, card = limits(device)
    bands = _bands(raw.get("bands") or (), events[0], events[-1] + 1)
    request = _request(process.get("oom"), bands, events, reserved, limit)
    highest = max(max(edge) for edge in (reserved, *tops[-1:]))
    drawn = limit is not None and card is not None and (highest >= _NEAR * limit or request is not None)
    top = round(highest * 1.06) + 1
    if drawn and limit is not None and card is not None:
        wanted = 0 if request is None else request.base_bytes + request.size_bytes
        top = max(card, round(highest * 1.02), min(wanted, round(card * _REQUEST)))
    # Room at the right for the request that failed.
    end = events[-1] + 1
    if request is not None and request.event >= events[-1]:
        end += max(1, round((end - events[0]) * 0.03))
    return Timeline(
        groups=groups,
        events=events,
        reserved=reserved,
        tops=tops,
        bands=bands,
        scale=Scale(first=events[0], end=end, top_bytes=top),
        limit_bytes=limit,
        card_bytes=card,
        limits_drawn=drawn,
        request=request,
    )


def limits(device: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """What PyTorch may reserve, and the whole card; ``None`` for a device without memory of its own."""
    card = int(device.get("capacity_bytes") or 0)
    if card <= 0:
        return None, None
    held = int(device.get("context_bytes") or 0) + int(device.get("reserve_bytes") or 0)
    return card - held, card


def _bands(raw: Sequence[Mapping[str, Any]], first: int, end: int) -> list[Band]:
    bands = [
        Band(
            phase=str(each["phase"]),
            step=each.get("step"),
            first=min(end, max(first, each["first"])),
            end=min(end, max(first, each["last"] + 1)),
        )
        for each in raw
    ]
    return [band for band in bands if band.end > band.first]


def _request(
    oom: Mapping[str, Any] | None,
    bands: Sequence[Band],
    events: Sequence[int],
    reserved: Sequence[int],
    limit: int | None,
) -> Request | None:
    if not oom or not oom.get("requested_bytes"):
        return None
    # A script that caught the error went on: the last band of that phase and step is where it happened.
    own = [band.end - 1 for band in bands if (band.phase, band.step) == (oom.get("phase"), oom.get("step"))]
    event = oom.get("event")
    if event is None:
        event = own[-1] if oom.get("caught") and own else events[-1]
    free = oom.get("free_bytes")
    base = reserved[-1] if limit is None or free is None else max(0, limit - free)
    return Request(event=event, base_bytes=base, size_bytes=oom["requested_bytes"])
