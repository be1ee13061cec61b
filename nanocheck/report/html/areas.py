"""The paths of the areas and of the line above them, in the units of ``scale``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanocheck.report.html.scale import HEIGHT
from nanocheck.report.html.stacked_timeline import StackedTimeline


@dataclass(frozen=True, kw_only=True)
class Area:
    """A group, and the commands of its SVG path."""

    group: str
    path: str


def areas(timeline: StackedTimeline) -> list[Area]:
    """Each group from the floor to its upper edge, the top one first: the next covers all but its share.

    Areas that share an edge would let the page shine through between them.
    """
    found = [
        Area(group=group, path=f"{_staircase(timeline, top)}V{HEIGHT}Z")
        for group, top in zip(timeline.groups, timeline.tops, strict=True)
    ]
    return found[::-1]


def reserved_line(timeline: StackedTimeline) -> str:
    """The path commands of the reserved memory."""
    return _staircase(timeline, timeline.reserved)


def _staircase(timeline: StackedTimeline, values: Sequence[int]) -> str:
    """From the floor below the first event along the values to the end of the last event."""
    scale, events = timeline.scale, timeline.events
    commands = [f"M{scale.x(events[0])} {HEIGHT}"]
    before: int | None = None
    for event, value in zip(events, values, strict=True):
        y = scale.y(value)
        if y != before:
            commands += [f"H{scale.x(event)}"] if before is not None else []
            commands.append(f"V{y}")
            before = y
    commands.append(f"H{scale.x(events[-1] + 1)}")
    return "".join(commands)
