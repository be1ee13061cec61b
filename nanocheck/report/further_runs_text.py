"""Further runs of one command as a terminal shows them: with changes, or on every card."""

from __future__ import annotations

from nanocheck.core.units import mib
from nanocheck.core.verdict import Kind
from nanocheck.report import terminal
from nanocheck.search.candidates import Suggestions
from nanocheck.search.every_card import EveryCard


def suggestions_text(suggestions: Suggestions) -> str:
    """The table of runs, and what they say together."""
    name = suggestions.batch_argument
    rows = [
        {
            **({} if name is None else {name: str(row.batch)}),
            "allocator": "expandable segments" if row.expandable else "as given",
            "verdict": row.verdict.kind.value,
            "reserved MiB": mib(row.reserved_bytes),
            "headroom MiB": _size(row.verdict.headroom_bytes),
            "provenance": row.provenance.value,
        }
        for row in suggestions.runs
    ]
    lines = [f"- {each}" for each in suggestions.conclusions]
    if not suggestions.complete:
        lines.append("- interrupted: of the runs so far, no more than what the table says is known")
    return "\n".join([terminal.table(rows, left=("allocator", "verdict", "provenance")), "", *lines])


def every_card_text(found: EveryCard) -> str:
    """On which cards it fits, and a row for each."""
    lists = {
        "fits on": found.of_kind(Kind.SAFE),
        "tight on": found.of_kind(Kind.TIGHT),
        "out of memory on": found.of_kind(Kind.OOM),
        "no answer on": found.no_answer,
        "not run (interrupted, not on this platform, or nothing free)": found.not_run,
    }
    lines = [f"{title}: {', '.join(cards)}" for title, cards in lists.items() if cards]
    rows = [
        {
            "card": row.gpu,
            "memory MiB": mib(row.capacity_bytes),
            "verdict": row.verdict.kind.value,
            "allocated MiB": mib(row.allocated_bytes) if row.allocated_bytes else "",
            "reserved MiB": mib(row.reserved_bytes) if row.reserved_bytes else "",
            "headroom MiB": _size(row.verdict.headroom_bytes),
            "provenance": row.provenance.value,
        }
        for row in found.cards
    ]
    return "\n".join([*lines, "", terminal.table(rows, left=("card", "verdict", "provenance"))])


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else mib(size_bytes)
