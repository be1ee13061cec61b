"""The phases and steps under the picture, and which of their labels have room at which width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.scale import Scale, percent
from nanocheck.report.html.timeline import Band

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


def fitting(fraction: float, choices: Sequence[str]) -> list[tuple[str, str]]:
    """(classes, label) pairs: at each width the first of the choices that fits into that part of the plot."""
    chosen: dict[str, list[str]] = {}
    for tier, width in TIERS.items():
        room = fraction * width - 8
        label = next((each for each in choices if len(each) * CHARACTER <= room), None)
        if label is not None:
            chosen.setdefault(label, []).append(tier)
    return [(" ".join(["fit", *tiers]), label) for label, tiers in chosen.items()]


def shades(bands: Sequence[Band], scale: Scale) -> Markup:
    """Every other phase, shaded over the whole height of the plot."""
    return tag(
        "g",
        *(
            tag("rect", x=percent(left), y="0", width=percent(width), height="100%", class_="shade")
            for place, (band, left, width) in enumerate(_placed(bands, scale))
            if place % 2
        ),
        class_="shades",
    )


def strips(bands: Sequence[Band], scale: Scale) -> Markup:
    """Two rows below the plot: the phases, and the steps that they belong to."""
    phases = [
        tag("g", _box(band.phase, place, left, width, _words(band)), data_band=band.phase)
        for place, (band, left, width) in enumerate(_placed(bands, scale))
    ]
    steps = [
        tag("g", _box("step", place, left, width, (f"step {band.step}", str(band.step))))
        for place, (band, left, width) in enumerate(_placed(_steps(bands), scale))
    ]
    return join(
        tag("g", *phases, transform="translate(0 5)", class_="strip phases"),
        tag("g", *steps, transform="translate(0 25)", class_="strip steps"),
    )


def _words(band: Band) -> tuple[str, ...]:
    short = _SHORT.get(band.phase)
    return (band.phase,) if short is None else (band.phase, short)


def _box(kind: str, place: int, left: float, width: float, words: Sequence[str]) -> Markup:
    middle = percent(left + width / 2)
    return join(
        tag(
            "rect",
            tag("title", words[0]),
            x=percent(left),
            y="100%",
            width=percent(width),
            height="18",
            class_=f"band {'odd' if place % 2 else 'even'}",
            data_kind=kind,
        ),
        *(
            tag("text", label, x=middle, y="100%", dy="13", class_=classes)
            for classes, label in fitting(width, words)
        ),
    )


def _placed(bands: Iterable[Band], scale: Scale) -> list[tuple[Band, float, float]]:
    placed = [(band, scale.across(band.first), scale.across(band.end)) for band in bands]
    return [(band, left, right - left) for band, left, right in placed if right - left > _HAIR]


def _steps(bands: Sequence[Band]) -> list[Band]:
    """One band a step, from its first phase to its last; what comes before the first step is in none."""
    inside = [band for band in bands if band.step is not None and band.phase != "build"]
    spans = []
    for step, own in groupby(inside, key=lambda band: band.step):
        parts = list(own)
        spans.append(Band(phase="step", step=step, first=parts[0].first, end=parts[-1].end))
    return spans
