"""The key figures, and the whole card as one bar: what is taken, what is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanocheck.report.html import timeline
from nanocheck.report.html.format import NONE, cell, plural, size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.scale import percent

_Part = tuple[str, int, str]


def figures(answer: Mapping[str, Any], process: Mapping[str, Any], *, only: bool) -> Markup:
    """Peaks, process, headroom and retries of one process.

    Args:
        only: whether it is the only one; the headroom of the card is nobody's alone otherwise.
    """
    peak = process["peak"]
    parts = [
        _figure("Peak allocated", peak["allocated_bytes"], "held by tensors"),
        _figure("Peak reserved", peak["reserved_bytes"], "taken from the card by PyTorch"),
        _figure(
            "Process", peak["process_bytes"], "with the CUDA context, as in nvidia\N{NON-BREAKING HYPHEN}smi"
        ),
    ]
    if only:
        parts.append(_headroom(answer, process))
    retries = int(process.get("retries") or 0)
    ooms = int(process.get("ooms") or 0)
    failed = f"; {plural(ooms, 'request')} failed" if ooms else ""
    words = "the allocator emptied its cache and tried again" if retries else "nothing had to be given back"
    parts.append(_box("Allocator retries", f"{retries:,}", words + failed, "warn" if retries or ooms else ""))
    return tag("dl", *parts, class_="figures")


def bar(answer: Mapping[str, Any], process: Mapping[str, Any]) -> Markup:
    """The card from its first byte to its last: context, others, PyTorch, free, and what found no room."""
    limit, card = timeline.limits(answer.get("device") or {})
    if limit is None or card is None:
        return join()
    device, peak = answer["device"], process["peak"]
    oom = process.get("oom") or {}
    fatal = bool(oom) and not oom.get("caught") and oom.get("free_bytes") is not None
    allocated, reserved = peak["allocated_bytes"], peak["reserved_bytes"]
    if fatal:
        reserved = max(0, limit - oom["free_bytes"])
        allocated = min(reserved, sum(each["bytes"] for each in oom.get("groups") or ()) or allocated)
    parts: list[_Part] = [
        ("CUDA context", int(device.get("context_bytes") or 0), "context-fill"),
        ("used by other processes", int(device.get("reserve_bytes") or 0), "others-fill"),
        ("allocated", allocated, "allocated-fill"),
        ("reserved, not allocated", max(0, reserved - allocated), "reserved-fill"),
    ]
    used = sum(each[1] for each in parts)
    parts.append(("free", max(0, card - used), "free-fill"))
    # A request is laid over what is free and sticks out of the card by what is missing.
    wanted = min(oom["requested_bytes"], card) if fatal else 0
    whole = max(card, used + wanted)
    shapes, left = [], 0
    for words, length, classes in parts:
        shapes.append(_segment(words, left, length, whole, classes))
        left += length
    if wanted:
        shapes.append(_segment("the request", used, wanted, whole, "wanted-fill"))
    if whole > card:
        edge = percent(card / whole)
        shapes.append(tag("line", x1=edge, x2=edge, y1="0", y2="100%", class_="card-edge"))
    keys = [_key(words, length, classes) for words, length, classes in parts if length]
    if fatal:
        keys.append(_key("the request that failed", oom["requested_bytes"], "wanted-fill"))
    when = "when the request failed" if fatal else "at its peaks"
    return join(
        tag("svg", *shapes, class_="gauge", role="img", aria_label=f"The whole card {when}"),
        tag("p", tag("span", f"The card {when}, {size(card)}:"), *keys, class_="gauge-key"),
    )


def _headroom(answer: Mapping[str, Any], process: Mapping[str, Any]) -> Markup:
    oom, left = process.get("oom"), answer["verdict"].get("headroom_bytes")
    if left is None and oom and not oom.get("caught") and oom.get("free_bytes") is not None:
        short = oom["requested_bytes"] - oom["free_bytes"]
        if short > 0:
            return _figure("Short by at least", short, "for this one request; more may follow", "bad")
    if left is None:
        return _box("Headroom", NONE, "not known: the run has no answer", "")
    if left < 0:
        return _figure("Beyond the card", -left, "the driver spilled into system memory", "bad")
    kind = answer["verdict"].get("kind")
    mood = {"safe": "good", "tight": "warn", "oom": "bad"}.get(str(kind), "")
    return _figure("Headroom", left, "left of what PyTorch may reserve", mood)


def _figure(name: str, size_bytes: int, words: str, mood: str = "") -> Markup:
    number, unit = size(size_bytes).split(" ")
    exact = f"{cell(size_bytes)} MiB, " if unit == "GiB" else ""
    return _box(name, join(number, tag("small", f" {unit}")), exact + words, mood)


def _box(name: str, value: str, words: str, mood: str) -> Markup:
    inner = (tag("dt", name), tag("dd", value, class_="value"), tag("dd", words, class_="words"))
    return tag("div", *inner, class_=f"key {mood}".strip())


def _segment(words: str, left: int, length: int, whole: int, classes: str) -> Markup:
    title = tag("title", f"{words}: {size(length)}")
    return tag(
        "rect", title, x=percent(left / whole), width=percent(length / whole), height="100%", class_=classes
    )


def _key(words: str, length: int, classes: str) -> Markup:
    return tag(
        "span", tag("i", class_=f"swatch {classes}"), f"{words} ", tag("b", size(length)), class_="gauge-item"
    )
