"""The picture with its caption and legend, and the numbers that the read-out under the pointer needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nanocheck.report.html import timeline, timeline_picture
from nanocheck.report.html.format import cell, moment, size
from nanocheck.report.html.markup import Markup, tag
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.timeline import Timeline


def figure(answer: Mapping[str, Any], process: Mapping[str, Any], palette: Palette, *, name: str) -> Markup:
    """Picture, legend and data of one process; a sentence where there is nothing to draw."""
    shown = timeline.of(process, answer.get("device") or {}, palette)
    if shown is None:
        return tag("p", "No picture: this process never held memory of the card.", class_="empty")
    peak = process["peak"]["allocated_bytes"]
    seen = sum(shown.values(shown.peak))
    # A process that was killed may have counted a peak that its journal does not reach.
    whole = seen == peak
    event = shown.events[shown.peak]
    band = next((each for each in shown.bands if each.first <= event < each.end), None)
    words = moment({"phase": band.phase, "step": band.step}) if band else f"event {event:,}"
    here = f"At the {'peak' if whole else 'highest point that was recorded'}: event {event:,}"
    here += f", {words}." if band else "."
    if not whole:
        here += f" PyTorch counted a peak of {size(peak)}; the rest is not in the record."
    name_of_peak = "peak" if whole else "highest recorded"
    virtual = answer.get("provenance") == "virtual"
    clock = ": a virtual card computes nothing, so its time means nothing" if virtual else ", not time"
    return tag(
        "figure",
        tag(
            "div",
            timeline_picture.draw(shown, palette, name=name, peak=name_of_peak, moment=words),
            class_="frame",
        ),
        tag("p", f"Left to right: allocations and releases in their order{clock}.", class_="axis-name"),
        tag("p", here, class_="moment", aria_live="polite"),
        _legend(shown, palette),
        tag("script", _data(shown), type="application/json"),
        class_="picture",
    )


def _legend(shown: Timeline, palette: Palette) -> Markup:
    """Top of the stack first, as the eye meets it; sizes at the peak, or wherever the pointer is."""
    values = dict(zip(shown.groups, shown.values(shown.peak), strict=True))
    items = [
        _item(tag("i", class_=f"swatch {palette.css(group)}"), group, values[group])
        for group in reversed(shown.groups)
    ]
    lines = [
        _item(tag("i", class_="swatch none"), "allocated", sum(values.values())),
        _item(tag("i", class_="swatch line"), "reserved", shown.reserved[shown.peak]),
    ]
    return tag("ul", *lines, *items, class_="legend", aria_label="Legend: MiB at the peak")


def _item(swatch: Markup, words: str, size_bytes: int) -> Markup:
    return tag(
        "li", swatch, tag("span", words), tag("b", cell(size_bytes)), class_=None if size_bytes else "zero"
    )


def _data(shown: Timeline) -> Markup:
    """What readout.js reads. ``<`` is written as an escape: nothing in JSON can then end the element."""
    data = {
        "first": shown.scale.first,
        "end": shown.scale.end,
        "events": shown.events,
        "reserved": shown.reserved,
        "tops": shown.tops,
        "bands": [
            [band.first, band.end, moment({"phase": band.phase, "step": band.step})] for band in shown.bands
        ],
    }
    raw = json.dumps(data, separators=(",", ":"))
    return Markup(raw.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))
