"""One process: figures, picture, who holds the memory, the largest allocations, phases, out of memory."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nanocheck.report.html import gauge, tables, timeline
from nanocheck.report.html.format import cell, moment, plural, shape, size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.timeline_figure import figure


def section(
    answer: Mapping[str, Any], process: Mapping[str, Any], palette: Palette, place: int, *, only: bool
) -> Markup:
    """Everything about one process; with a heading of its own where there are several."""
    heading = join()
    if not only:
        command = tag("code", shlex.join(map(str, process.get("command") or ())))
        heading = join(
            tag("h2", f"Process {process['pid']}", class_="process-name"), tag("p", command, class_="quiet")
        )
    peak = process["peak"]["allocated_bytes"]
    limit, _ = timeline.limits(answer.get("device") or {})
    most = max([process["peak"]["reserved_bytes"], limit or 0, 1])
    return tag(
        "div",
        heading,
        tag(
            "section",
            tag("h2", "Key figures", class_="unseen"),
            gauge.figures(answer, process, only=only),
            gauge.bar(answer, process),
            _summary(process, f"oom-{place}"),
        ),
        _part("Memory, event by event", figure(answer, process, palette, name=f"p{place}")),
        _part(
            "Who holds the memory at the peak",
            _at(process),
            tables.scroll(tables.groups(process.get("groups") or (), peak, palette)),
        ),
        _part("The largest allocations at the peak", tables.largest(process.get("largest") or (), palette)),
        _part(
            "Phases",
            tables.scroll(tables.phases(process.get("phases") or (), process.get("at") or {}, most)),
            _fragmentation(process),
        ),
        _oom(process, palette, f"oom-{place}"),
        class_="process",
        id=f"process-{place}",
    )


def _part(title: str, *content: Markup) -> Markup:
    return tag("section", tag("h2", title), *content)


def _summary(process: Mapping[str, Any], anchor: str) -> Markup:
    steps = int(process.get("steps") or 0)
    oom = process.get("oom")
    text = f"{plural(steps, 'optimizer step')} seen." if steps else "No optimizer step was finished."
    failed = join()
    if oom:
        went = "caught by the script, which went on" if oom.get("caught") else "which ended the run"
        at = join(" at ", tag("code", str(oom["where"]))) if oom.get("where") else ""
        failed = join(
            f" A request for {size(oom['requested_bytes'])} failed in {moment(oom)}",
            at,
            f", {went}. ",
            tag("a", "What was alive then", href=f"#{anchor}"),
            ".",
        )
    return tag("p", text, failed, class_="quiet")


def _at(process: Mapping[str, Any]) -> Markup:
    at = process.get("at") or {}
    if not at:
        return join()
    words = f"Most was allocated in {moment(at)}"
    if not at.get("where"):
        return tag("p", f"{words}.")
    line = join(": ", tag("code", str(at["line"]))) if at.get("line") else "."
    return tag("p", f"{words}, at ", tag("span", str(at["where"]), class_="where"), line)


def _fragmentation(process: Mapping[str, Any]) -> Markup:
    split = process.get("fragmentation") or {}
    if not split.get("reserved_bytes"):
        return join()
    return tag(
        "p",
        f"When most was reserved, {cell(split['reserved_bytes'])} MiB, tensors held "
        f"{cell(split['allocated_bytes'])} MiB of it; {cell(split['inactive_bytes'])} MiB lay free between "
        "them, kept for what comes next.",
        class_="quiet",
    )


def _oom(process: Mapping[str, Any], palette: Palette, anchor: str) -> Markup:
    oom = process.get("oom")
    if not oom:
        return join()
    free, wanted = oom.get("free_bytes"), oom["requested_bytes"]
    about = "" if oom.get("exact", True) else "about "
    facts: list[tuple[str, str]] = [("asked for", about + size(wanted)), ("bytes", f"{about}{wanted:,}")]
    facts += [("free on the card", size(free))] if free is not None else []
    facts += [("missing", size(wanted - free))] if free is not None and wanted > free else []
    facts += [("shape", shape(oom["shape"]))] if oom.get("shape") is not None else []
    facts += [
        ("in", moment(oom)),
        ("the script", "caught it and went on" if oom.get("caught") else "ended by it"),
    ]
    groups = oom.get("groups") or ()
    return tag(
        "section",
        tag("h2", "Out of memory"),
        tag("p", tables.place(oom), class_="failing"),
        tag("dl", *(tag("div", tag("dt", name), tag("dd", words)) for name, words in facts), class_="facts"),
        _tensors(oom.get("tensors") or ()),
        tag("pre", str(oom["message"]), class_="message") if oom.get("message") else "",
        tag("h3", "Who held the memory then"),
        tables.scroll(tables.groups(groups, sum(each["bytes"] for each in groups), palette)),
        tag("h3", "What was alive, largest first"),
        tables.largest(oom.get("alive") or (), palette),
        class_="oom-box",
        id=anchor,
    )


def _tensors(tensors: Sequence[Mapping[str, Any]]) -> Markup:
    """The script's own variables that were tensors where it failed."""
    if not tensors:
        return join()
    items = [
        tag("li", tag("code", str(each["name"])), f" {shape(each.get('shape'))}, {each.get('dtype')}")
        for each in tensors
    ]
    return join(tag("h3", "Tensors in the variables there"), tag("ul", *items, class_="notes"))
