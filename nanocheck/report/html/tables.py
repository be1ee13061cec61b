"""The tables: who holds the memory, the largest allocations, the phases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nanocheck.report.html.format import NONE, cell, moment, plural, shape, share, size
from nanocheck.report.html.markup import Markup, join, tag
from nanocheck.report.html.palette import Palette
from nanocheck.report.html.scale import percent

Holder = Mapping[str, Any]

#: Largest allocations that are shown at once.
_SHOWN = 12


def groups(holders: Sequence[Holder], total_bytes: int, palette: Palette) -> Markup:
    """Groups by size with a bar each, and the total. What the groups leave of the total has its own row."""
    rows = sorted(holders, key=lambda each: -each["bytes"])
    rest = total_bytes - sum(each["bytes"] for each in rows)
    if rest:
        rows = [*rows, {"group": "not attributed", "bytes": rest, "count": None}]
    if not rows:
        return tag("p", "Nothing was held.", class_="empty")
    body = [
        tag(
            "tr",
            tag("th", _swatch(each["group"], palette), each["group"], scope="row"),
            tag("td", cell(each["bytes"]), class_="number"),
            tag("td", share(each["bytes"], total_bytes), class_="number"),
            tag("td", _bar(each["bytes"], total_bytes, palette.css(each["group"])), class_="bar-cell"),
            tag("td", _count(each.get("count")), class_="number count"),
        )
        for each in rows
    ]
    total = tag(
        "tr",
        tag("th", "total", scope="row"),
        tag("td", cell(total_bytes), class_="number"),
        tag("td", share(total_bytes, total_bytes), class_="number"),
        tag("td", class_="bar-cell"),
        tag("td", _count(sum(each.get("count") or 0 for each in rows)), class_="number count"),
    )
    head = head_row(
        ("group", ""), ("MiB", "number"), ("share", "number"), ("", "bar-cell"), ("blocks", "number count")
    )
    return tag("table", head, tag("tbody", *body), tag("tfoot", total), class_="groups")


def largest(holders: Sequence[Holder], palette: Palette) -> Markup:
    """Allocations with the line of the script that made them; the smaller ones behind a heading to open.

    Below 700 px of width each row becomes a card (style.css).
    """
    if not holders:
        return tag("p", "None.", class_="empty")
    head = head_row(
        ("MiB", "number"), ("group", ""), ("where it was allocated", ""), ("shape", ""), ("phase", "")
    )
    rows = [_allocation(each, palette) for each in holders]
    parts = [scroll(tag("table", head, tag("tbody", *rows[:_SHOWN]), class_="largest"))]
    if len(rows) > _SHOWN:
        rest = sum(each["bytes"] for each in holders[_SHOWN:])
        words = f"{plural(len(rows) - _SHOWN, 'smaller one')}, {cell(rest)} MiB together"
        table = scroll(tag("table", head, tag("tbody", *rows[_SHOWN:]), class_="largest"))
        parts.append(tag("details", tag("summary", words), table))
    return join(*parts)


def _allocation(each: Holder, palette: Palette) -> Markup:
    known = each.get("shape") is not None
    return tag(
        "tr",
        tag("td", tag("b", cell(each["bytes"])), _times(each.get("count")), class_="number size"),
        tag("td", _swatch(each["group"], palette), each["group"], class_="group"),
        tag("td", place(each), class_="place"),
        tag("td", shape(each.get("shape")), class_="shape" if known else "shape unknown"),
        tag("td", moment(each), class_="moment-cell"),
    )


def phases(rows: Sequence[Holder], at: Holder, most_bytes: int) -> Markup:
    """Peaks of each phase; ``most_bytes`` is what a full bar stands for."""
    if not rows:
        return tag("p", "No phase was seen.", class_="empty")
    body = [
        tag(
            "tr",
            tag("th", each["phase"], scope="row"),
            tag("td", cell(each["allocated_bytes"]), class_="number"),
            tag("td", cell(each["reserved_bytes"]), class_="number"),
            tag("td", _two_bars(each, most_bytes), class_="bar-cell"),
            tag("td", "the peak" if each["phase"] == at.get("phase") else "", class_="remark"),
            class_="peak-row" if each["phase"] == at.get("phase") else None,
        )
        for each in rows
    ]
    head = head_row(
        ("phase", ""),
        ("allocated, MiB", "number"),
        ("reserved, MiB", "number"),
        ("", "bar-cell"),
        ("", "remark"),
    )
    return tag("table", head, tag("tbody", *body), class_="phases-table")


def scroll(table: Markup) -> Markup:
    """A table that scrolls by itself where it is wider than the page."""
    return tag("div", table, class_="scroll")


def place(holder: Holder) -> Markup:
    """File and line, and the line itself in code type."""
    where, line = holder.get("where"), holder.get("line")
    if not where:
        return tag("span", "not made by a line of Python that is known", class_="unknown")
    return join(tag("span", str(where), class_="where"), tag("code", str(line)) if line else "")


def _swatch(group: str, palette: Palette) -> Markup:
    return tag("i", class_=f"swatch {palette.css(group)}")


def head_row(*columns: tuple[str, str]) -> Markup:
    """The columns' names, each with its classes."""
    cells = [tag("th", name, scope="col", class_=classes or None) for name, classes in columns]
    return tag("thead", tag("tr", *cells))


def _count(count: int | None) -> str:
    return NONE if not count else f"{count:,}"


def _times(count: int | None) -> Markup:
    return tag("span", f"\N{MULTIPLICATION SIGN}{count:,}", class_="times") if count and count > 1 else join()


def _bar(part: int, whole: int, classes: str) -> Markup:
    width = percent(min(1.0, max(0.0, part / whole)) if whole > 0 else 0.0)
    return tag(
        "svg",
        tag("rect", width=width, height="100%", class_=f"fill {classes}"),
        class_="bar",
        aria_hidden="true",
    )


def _two_bars(row: Holder, most_bytes: int) -> Markup:
    def width(name: str) -> str:
        return percent(min(1.0, max(0.0, row[name] / most_bytes)) if most_bytes > 0 else 0.0)

    return tag(
        "svg",
        tag("title", f"a full bar is {size(most_bytes)}"),
        tag("rect", width="100%", height="100%", class_="rest"),
        tag("rect", width=width("reserved_bytes"), height="100%", class_="reserved-fill"),
        tag("rect", width=width("allocated_bytes"), height="100%", class_="allocated-fill"),
        class_="bar",
    )
