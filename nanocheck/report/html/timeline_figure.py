"""The picture with what stands around it: when the peak was, and the numbers of the read-out."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from nanocheck.core.device import Device
from nanocheck.core.result import ProcessMemory
from nanocheck.core.scrub import scrub
from nanocheck.report.html import stacked_timeline, timeline_picture
from nanocheck.report.html.format import moment
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.stacked_timeline import StackedTimeline
from nanocheck.report.html.timeline_picture import Picture


class Readout(msgspec.Struct, frozen=True, kw_only=True):
    """What readout.js shows under the pointer, as JSON on the page.

    ``tops``: see ``StackedTimeline``. ``bands``: first event, the one after the last, and what it is called.
    """

    first: int
    end: int
    events: list[int]
    reserved: list[int]
    tops: list[list[int]]
    bands: list[tuple[int, int, str]]


@dataclass(frozen=True, kw_only=True)
class TimelineFigure:
    """What ``templates/timeline_figure.html`` shows of one process.

    Attributes:
        counted_bytes: the allocated peak as PyTorch counted it.
    """

    timeline: StackedTimeline
    picture: Picture
    counted_bytes: int
    readout: Readout

    @property
    def has_peak(self) -> bool:
        """A process that was killed may have counted a peak that its journal does not reach."""
        return self.timeline.peak_bytes == self.counted_bytes

    @property
    def moment(self) -> str:
        """When the highest point was."""
        span = self.timeline.peak_span
        return f"event {self.timeline.peak_event:,}" if span is None else moment(span)


def of(process: ProcessMemory, device: Device, palette: Palette) -> TimelineFigure | None:
    """The figure of one process; ``None`` where there is nothing to draw."""
    timeline = stacked_timeline.of(process, device, palette)
    if timeline is None:
        return None
    return TimelineFigure(
        timeline=timeline,
        picture=timeline_picture.of(timeline),
        counted_bytes=process.allocated_bytes,
        readout=_readout(timeline),
    )


def _readout(timeline: StackedTimeline) -> Readout:
    return Readout(
        first=timeline.scale.first,
        end=timeline.scale.end,
        events=timeline.events,
        reserved=timeline.reserved,
        tops=timeline.tops,
        # A script's text goes around the templates here: the page's own script shows it.
        bands=[(span.first, span.end, scrub(moment(span))) for span in timeline.spans],
    )
