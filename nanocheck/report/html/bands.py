"""The phases and steps under the picture, and which of their labels have room at which width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from nanocheck.report.html.scale import Scale
from nanocheck.report.html.stacked_timeline import Span

#: Width of the plot in px from which a label's class counts; style.css switches them by the figure's width.
TIERS = {"s": 285, "m": 565, "l": 1005}
#: Width of a character of the labels, in px: 11 to 12 px type of a wide face, so that none is cut.
CHARACTER = 7.0
_SHORT = {
    "forward": "fwd",
    "backward": "bwd",
    "optimizer": "opt",
    "evaluation": "eval",
    "checkpoint": "save",
}
#: Narrower than this part of the plot, a band cannot be seen and is not drawn.
_HAIR = 0.0005


@dataclass(frozen=True, kw_only=True)
class Label:
    """Words, and the widths (keys of ``TIERS``) at which they are shown."""

    tiers: tuple[str, ...]
    words: str


@dataclass(frozen=True, kw_only=True)
class Box:
    """A phase, or a step, in its row; ``left`` and ``width`` are fractions of the plot."""

    name: str
    left: float
    width: float
    labels: tuple[Label, ...]

    @property
    def middle(self) -> float:
        return self.left + self.width / 2


def phases(spans: Iterable[Span], scale: Scale) -> list[Box]:
    """The row of phases."""
    return _row([(span, (span.phase, _SHORT.get(span.phase, span.phase))) for span in spans], scale)


def steps(spans: Iterable[Span], scale: Scale) -> list[Box]:
    """The row of steps, each from its first phase to its last; what comes before the first is in none."""
    inside = [span for span in spans if span.phase != "build"]
    found = []
    for step, own in groupby(inside, key=lambda span: span.step):
        parts = list(own)
        span = Span(phase="step", step=step, first=parts[0].first, end=parts[-1].end)
        found.append((span, (f"step {step}", str(step))))
    return _row(found, scale)


def fitting(fraction: float, choices: Sequence[str]) -> tuple[Label, ...]:
    """At each width of the page the first of the choices that fits into that part of the plot."""
    chosen: dict[str, list[str]] = {}
    for tier, width in TIERS.items():
        room = fraction * width - 8
        label = next((each for each in choices if len(each) * CHARACTER <= room), None)
        if label is not None:
            chosen.setdefault(label, []).append(tier)
    return tuple(Label(tiers=tuple(tiers), words=label) for label, tiers in chosen.items())


def _row(spans: Iterable[tuple[Span, tuple[str, ...]]], scale: Scale) -> list[Box]:
    boxes = []
    for span, names in spans:
        left = scale.across(span.first)
        width = scale.across(span.end) - left
        if width > _HAIR:
            boxes.append(Box(name=names[0], left=left, width=width, labels=fitting(width, names)))
    return boxes
