"""Further runs of one command as a terminal shows them: with changes, or on every card."""

from __future__ import annotations

from nanocheck.core.units import mib
from nanocheck.core.verdict import Kind
from nanocheck.report.blocks import Block, Words, prose, provenance, stack, verdict
from nanocheck.report.terminal_table import table
from nanocheck.search.candidates import Suggestions
from nanocheck.search.every_card import EveryCard

_STYLED = ("verdict", "provenance")


def suggestions_blocks(suggestions: Suggestions) -> list[Block]:
    """The table of runs, and what they say together."""
    name = suggestions.batch_argument
    rows: list[dict[str, Words]] = [
        {
            **({} if name is None else {name: str(row.batch)}),
            "allocator": "expandable segments" if row.expandable else "as given",
            "verdict": verdict(row.verdict.kind),
            "reserved MiB": mib(row.reserved_bytes),
            "headroom MiB": _size(row.verdict.headroom_bytes),
            "provenance": provenance(row.provenance),
        }
        for row in suggestions.runs
    ]
    lines = [prose(f"- {each}", hanging=2) for each in suggestions.conclusions]
    if not suggestions.complete:
        lines.append(
            prose("- interrupted: of the runs so far, no more than what the table says is known", hanging=2)
        )
    return [table(rows, left=["allocator"], whole=_STYLED), stack(*lines)]


def every_card_blocks(found: EveryCard) -> list[Block]:
    """On which cards it fits, and a row for each."""
    lists: list[tuple[Words, tuple[str, ...]]] = [
        (verdict(Kind.SAFE, "fits on"), found.of_kind(Kind.SAFE)),
        (verdict(Kind.TIGHT, "tight on"), found.of_kind(Kind.TIGHT)),
        (verdict(Kind.PARTIAL, "fits so far on"), found.of_kind(Kind.PARTIAL)),
        (verdict(Kind.LOST_WORK, "leaves work out on"), found.of_kind(Kind.LOST_WORK)),
        (verdict(Kind.OOM, "out of memory on"), found.of_kind(Kind.OOM)),
        (verdict(Kind.CRASHED, "no answer on"), found.no_answer),
        (verdict(Kind.UNSUPPORTED, "this PyTorch has no kernels for"), found.no_kernels),
        ("not run (interrupted, not on this platform, or nothing free)", found.not_run),
    ]
    rows: list[dict[str, Words]] = [
        {
            "card": row.gpu,
            "memory MiB": mib(row.capacity_bytes),
            "verdict": verdict(row.verdict.kind),
            "allocated MiB": mib(row.allocated_bytes) if row.allocated_bytes else "",
            "reserved MiB": mib(row.reserved_bytes) if row.reserved_bytes else "",
            "headroom MiB": _size(row.verdict.headroom_bytes),
            "provenance": provenance(row.provenance),
        }
        for row in found.cards
    ]
    lines = [prose(title, f": {', '.join(cards)}", hanging=2) for title, cards in lists if cards]
    return [stack(*lines), table(rows, whole=["card", *_STYLED])]


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else mib(size_bytes)
