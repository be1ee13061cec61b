"""The picture's geometry: what was held, event by event, stacked by group, under the card's limits.

``templates/timeline_picture.html`` draws it as one SVG for every width. Positions are fractions of the plot,
sizes of text and lines are px, and the areas lie in a nested box of ``scale.WIDTH`` x ``scale.HEIGHT`` that
is stretched; so text is as large on a phone as on a desk, and nothing needs a script. The plot's margins are
the padding of the element around it (style.css).
"""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.report.html import area_labels, areas, bands
from nanocheck.report.html.area_labels import AreaLabel
from nanocheck.report.html.areas import Area
from nanocheck.report.html.bands import Box
from nanocheck.report.html.scale import HEIGHT, WIDTH, Scale, event_ticks, memory_ticks
from nanocheck.report.html.stacked_timeline import StackedTimeline

#: Height of the plot where the names of the column are shown, and what a line of them needs, in px.
_HEIGHT_PX = 420
_LINE_PX = 14
_REQUEST_WIDTH = 0.03


@dataclass(frozen=True, kw_only=True)
class EventTick:
    """A round number of events, and the widths (``bands.TIERS``) at which it is shown."""

    event: int
    tiers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PeakMark:
    """The highest point, and to which side of it its words stand (SVG's ``text-anchor``)."""

    x: float
    y: float
    anchor: str


@dataclass(frozen=True, kw_only=True)
class RequestColumn:
    """The request that failed, from where the reserved memory ended up to ``top``.

    ``early``: it lies in the left half, where the label of the card stands otherwise.
    """

    left: float
    top: float
    bottom: float
    early: bool
    size_bytes: int
    width: float = _REQUEST_WIDTH

    @property
    def label_x(self) -> float:
        """Where its label starts, or ends where it is not early."""
        return self.left if self.early else min(1.0, self.left + self.width)


@dataclass(frozen=True, kw_only=True)
class ColumnPart:
    """A group's part of the column beside the plot; ``named``: high enough for its name."""

    group: str
    size_bytes: int
    top: float
    bottom: float
    named: bool

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Everything that is drawn.

    Attributes:
        areas: the top one first. reserved: the path of the line. width, height: the box of both.
        memory_ticks: round sizes in bytes, and their labels.
        column: the peak once more beside the plot, bottom to top: in the plot it may be a hair wide.
    """

    timeline: StackedTimeline
    areas: list[Area]
    reserved: str
    labels: list[AreaLabel]
    memory_ticks: list[tuple[int, str]]
    event_ticks: list[EventTick]
    peak: PeakMark
    request: RequestColumn | None
    column: list[ColumnPart]
    phases: list[Box]
    steps: list[Box]
    width: int = WIDTH
    height: int = HEIGHT


def of(timeline: StackedTimeline) -> Picture:
    """The picture of a timeline."""
    return Picture(
        timeline=timeline,
        areas=areas.areas(timeline),
        reserved=areas.reserved_line(timeline),
        labels=area_labels.labels(timeline),
        memory_ticks=memory_ticks(timeline.scale.top_bytes),
        event_ticks=_event_ticks(timeline.scale),
        peak=_peak(timeline),
        request=_request(timeline),
        column=_column(timeline),
        phases=bands.phases(timeline.spans, timeline.scale),
        steps=bands.steps(timeline.spans, timeline.scale),
    )


def _event_ticks(scale: Scale) -> list[EventTick]:
    many, few = event_ticks(scale, 10), event_ticks(scale, 4)
    return [
        EventTick(event=event, tiers=("s",) * (event in few) + ("m", "l") * (event in many))
        for event in sorted({*many, *few})
    ]


def _peak(timeline: StackedTimeline) -> PeakMark:
    x = timeline.scale.across(timeline.peak_event + 0.5)
    return PeakMark(
        x=x,
        y=timeline.scale.down(timeline.peak_bytes),
        anchor="start" if x < 0.35 else "end" if x > 0.65 else "middle",
    )


def _request(timeline: StackedTimeline) -> RequestColumn | None:
    request, scale = timeline.request, timeline.scale
    if request is None:
        return None
    return RequestColumn(
        left=scale.across(request.event + 1),
        top=scale.down(request.base_bytes + request.size_bytes),
        bottom=scale.down(request.base_bytes),
        early=scale.across(request.event) < 0.5,
        size_bytes=request.size_bytes,
    )


def _column(timeline: StackedTimeline) -> list[ColumnPart]:
    scale, lower, parts = timeline.scale, 0, []
    for group, size_bytes in timeline.held_at_peak:
        upper = lower + size_bytes
        top, bottom = scale.down(upper), scale.down(lower)
        named = (bottom - top) * _HEIGHT_PX >= _LINE_PX
        parts.append(ColumnPart(group=group, size_bytes=size_bytes, top=top, bottom=bottom, named=named))
        lower = upper
    return parts
