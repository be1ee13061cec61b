"""Two compared memory reports as text, as a page of Markdown and as plain data."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import Any

import pandas as pd

from nanocheck.report.cells import escape, table
from nanocheck.report.comparing import VERDICTS, Change, Compared, Moved
from nanocheck.units import counted, mib

SCHEMA = 1
#: Phases of one configuration that a terminal shows.
_SHOWN = 3


def text(compared: Compared, width: int) -> str:
    """For a terminal: what differs around it, a block for each configuration that changed, and the count."""
    lines = [f"{name}: {old} -> {new}" for name, old, new in compared.differences] or ["the same environment"]
    wide = max(len(verdict) for verdict in VERDICTS)
    indent = " " * (wide + 2)
    for row in compared.rows:
        if row.verdict == "equal":
            continue
        lines.append(f"{row.verdict:{wide}}  {row.name}: {_kinds(row)}")
        parts = [_change(each) for each in row.changes[:_SHOWN]]
        hidden = len(row.changes) - len(parts)
        parts += [f"and {hidden} smaller {'change' if hidden == 1 else 'changes'}"] if hidden else []
        for part in [*row.notes, *parts]:
            lines.append(textwrap.fill(part, width, initial_indent=indent, subsequent_indent=indent + "  "))
    lines += [f"{indent}{name}: only in the {which}" for which, name in _lonely(compared)]
    return "\n".join([*lines, "", _counted(compared)])


def markdown(compared: Compared, names: tuple[str, str]) -> str:
    """The whole page, ending in a newline.

    Args:
        names: of the two files.
    """
    around = [
        {"": name, "before": old, "after": compared.after[name]} for name, old in compared.before.items()
    ]
    parts = [
        "# What moved in memory?",
        f"{_counted(compared)}. Before: {escape(names[0])}; after: {escape(names[1])}.",
        table(pd.DataFrame(around)),
    ]
    rows = [
        {
            "configuration": row.name,
            "verdict": _kinds(row),
            "phase": each.phase if each else "",
            "peak": each.what if each else "",
            "before (MiB)": mib(each.before) if each else "",
            "after (MiB)": mib(each.after) if each else "",
            "bytes": f"{each.bytes:+,}" if each else "",
            "notes": "; ".join(row.notes),
        }
        for row in compared.rows
        if row.verdict != "equal"
        for each in (row.changes or (None,))
    ]
    if rows:
        parts.append(table(pd.DataFrame(rows), right=["before (MiB)", "after (MiB)", "bytes"]))
    if _lonely(compared):
        parts.append("\n".join(f"- {escape(name)}: only in the {which}" for which, name in _lonely(compared)))
    parts.append("\n".join(f"- **{verdict}**: {meaning}" for verdict, meaning in VERDICTS.items()))
    return "\n\n".join(parts) + "\n"


def to_dict(compared: Compared, names: tuple[str, str]) -> dict[str, Any]:
    """Plain data for JSON."""
    return {
        "schema": SCHEMA,
        "kind": "compared reports",
        "before": {"file": names[0], "environment": dict(compared.before)},
        "after": {"file": names[1], "environment": dict(compared.after)},
        "moved": compared.moved,
        "counts": compared.counts,
        "rows": [asdict(row) for row in compared.rows],
        "only_before": list(compared.only_before),
        "only_after": list(compared.only_after),
    }


def _kinds(row: Moved) -> str:
    return row.kinds[0] if row.kinds[0] == row.kinds[1] else f"{row.kinds[0]} -> {row.kinds[1]}"


def _change(change: Change) -> str:
    moved = f"{mib(change.before)} -> {mib(change.after)} MiB ({change.bytes:+,} bytes)"
    return f"{change.phase} {change.what}: {moved}"


def _lonely(compared: Compared) -> list[tuple[str, str]]:
    before = [("first report", name) for name in compared.only_before]
    return before + [("second report", name) for name in compared.only_after]


def _counted(compared: Compared) -> str:
    return counted("configuration", compared.counts)
