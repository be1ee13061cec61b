"""Two compared memory reports as text, as a page of Markdown and as plain data."""

from __future__ import annotations

from dataclasses import asdict

from nanocheck.core.pairing import Compared, plain
from nanocheck.core.units import mib
from nanocheck.report import pairing_text
from nanocheck.report.blocks import Block
from nanocheck.report.diff import Change, Moved
from nanocheck.report.markdown_cells import escape, frame_of, table
from nanocheck.report.pairing_text import RenderedComparison

#: Phases of one configuration that a terminal shows.
_SHOWN = 3


def render(compared: Compared[Moved], names: tuple[str, str]) -> RenderedComparison:
    """The comparison in words.

    Args:
        names: of the two files.
    """
    return RenderedComparison(
        moved=compared.moved,
        blocks=_blocks(compared),
        markdown=_markdown(compared, names),
        plain=plain(compared, names, "compared reports") | {"rows": [asdict(row) for row in compared.rows]},
    )


def _blocks(compared: Compared[Moved]) -> list[Block]:
    """What is equal is only counted."""
    moved = [row for row in compared.rows if row.verdict != "equal"]
    rows = ((row.verdict, f"{row.name}: {_kinds(row)}", _parts(row)) for row in moved)
    return pairing_text.blocks(compared, rows, "report")


def _parts(row: Moved) -> list[str]:
    parts = [_change(each) for each in row.changes[:_SHOWN]]
    hidden = len(row.changes) - len(parts)
    parts += [f"and {hidden} smaller {'change' if hidden == 1 else 'changes'}"] if hidden else []
    return [*row.notes, *parts]


def _markdown(compared: Compared[Moved], names: tuple[str, str]) -> str:
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
    return pairing_text.page(
        compared,
        title="What moved in memory?",
        about=f"Before: {escape(names[0])}; after: {escape(names[1])}.",
        rows=table(frame_of(rows), right=["before (MiB)", "after (MiB)", "bytes"]) if rows else "",
        thing="report",
    )


def _kinds(row: Moved) -> str:
    return row.kinds[0] if row.kinds[0] == row.kinds[1] else f"{row.kinds[0]} -> {row.kinds[1]}"


def _change(change: Change) -> str:
    moved = f"{mib(change.before)} -> {mib(change.after)} MiB ({change.bytes:+,} bytes)"
    return f"{change.phase} {change.what}: {moved}"
