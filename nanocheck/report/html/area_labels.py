"""Names written into the areas, where a level strip of an area is long and high enough for one."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.report.html.bands import CHARACTER, TIERS
from nanocheck.report.html.stacked_timeline import StackedTimeline

#: Places along the plot that are looked at, and the height of a line of type in parts of the plot's height
#: (18 of the 300 px that it has where it is lowest).
_COLUMNS = 160
_LINE = 18 / 300


@dataclass(frozen=True, kw_only=True)
class AreaLabel:
    """A group's name, the widths (``bands.TIERS``) at which it has room, and its middle in the plot.

    ``x`` and ``y``: 0 at the left and at the top, 1 at the right and at the bottom.
    """

    group: str
    tiers: tuple[str, ...]
    x: float
    y: float


def labels(timeline: StackedTimeline) -> list[AreaLabel]:
    """One label for each group that has room."""
    floor = [1.0] * _COLUMNS
    found = []
    for group, top in zip(timeline.groups, timeline.tops, strict=True):
        highest, lowest = _columns(timeline, top)
        # The strip must stay above everything below it and under the lowest point of its own upper edge.
        first, last, middle = _longest(lowest, floor)
        wide = (last - first) / _COLUMNS
        tiers = [tier for tier, width in TIERS.items() if wide * width >= len(group) * CHARACTER + 12]
        if tiers:
            x = (first + last) / 2 / _COLUMNS
            found.append(AreaLabel(group=group, tiers=tuple(tiers), x=x, y=middle))
        floor = highest
    return found


def _columns(timeline: StackedTimeline, top: list[int]) -> tuple[list[float], list[float]]:
    """The uppermost and the lowest place of an edge within each column, 0 at the top of the plot."""
    scale = timeline.scale
    highest, lowest = [1.0] * _COLUMNS, [0.0] * _COLUMNS
    ends = [*timeline.events[1:], timeline.events[-1] + 1]
    for event, end, value in zip(timeline.events, ends, top, strict=True):
        y = scale.down(value)
        first = int(scale.across(event) * _COLUMNS)
        last = min(_COLUMNS - 1, int(scale.across(end) * _COLUMNS))
        for column in range(first, last + 1):
            highest[column] = min(highest[column], y)
            lowest[column] = max(lowest[column], y)
    for column in range(int(scale.across(ends[-1]) * _COLUMNS) + 1, _COLUMNS):
        lowest[column] = 1.0
    return highest, lowest


def _longest(upper: list[float], lower: list[float]) -> tuple[int, int, float]:
    """First and end of the longest run of columns with a free line of type, and the line's middle."""
    best = (0, 0, 0.0)
    for first in range(_COLUMNS):
        roof, floor = 0.0, 1.0
        for column in range(first, _COLUMNS):
            roof, floor = max(roof, upper[column]), min(floor, lower[column])
            if floor - roof < _LINE:
                break
            if column + 1 - first > best[1] - best[0]:
                best = (first, column + 1, (roof + floor) / 2)
    return best
