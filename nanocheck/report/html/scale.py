"""Where a number lies in the picture, and at which round numbers an axis is marked."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.units import GIB, KIB, MIB

#: The plot's own units: areas and lines are drawn in a box of this size, which the page stretches.
WIDTH = 10_000
HEIGHT = 4_000


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The plot's axes.

    Attributes:
        first: the first event. end: one after the last event: what an event leaves holds until the next.
        top_bytes: memory at the upper edge.
    """

    first: int
    end: int
    top_bytes: int

    def across(self, event: float) -> float:
        """0 at the left edge, 1 at the right; what lies outside is put on the edge."""
        return min(1.0, max(0.0, (event - self.first) / (self.end - self.first)))

    def down(self, size_bytes: float) -> float:
        """0 at the upper edge, 1 at the lower."""
        return min(1.0, max(0.0, 1 - size_bytes / self.top_bytes))

    def x(self, event: float) -> int:
        """In the plot's units."""
        return round(self.across(event) * WIDTH)

    def y(self, size_bytes: float) -> int:
        """In the plot's units."""
        return round(self.down(size_bytes) * HEIGHT)


def round_step(span: float, wanted: int) -> int:
    """The smallest of 1, 2, 5, 10, 20... of which at most ``wanted`` fit into ``span``."""
    step = 1
    while span / step > wanted:
        for factor in (2, 5, 10):
            if span / (step * factor) <= wanted:
                return step * factor
        step *= 10
    return step


def event_ticks(scale: Scale, wanted: int) -> list[int]:
    """Round numbers of events within the plot."""
    step = round_step(scale.end - scale.first, wanted)
    return list(range(-(-scale.first // step) * step, scale.end + 1, step))


def memory_ticks(top_bytes: int, wanted: int = 7) -> list[tuple[int, str]]:
    """Round sizes from 0 to the top with their labels, all in one unit."""
    unit, name = next(
        ((unit, name) for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if top_bytes >= 2 * unit),
        (1, "B"),
    )
    # Half a GiB is as round as a whole one.
    if unit == GIB and top_bytes / GIB <= wanted / 2:
        step = GIB // 2
    else:
        step = round_step(top_bytes / unit, wanted) * unit
    return [(size, f"{size / unit:,g} {name}") for size in range(0, top_bytes + 1, step)]
