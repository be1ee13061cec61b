"""A drift table as a terminal shows it: two tables of peaks, then each move with what explains it."""

from __future__ import annotations

from nanocheck.core.drift import Drift
from nanocheck.report import drift_words as said
from nanocheck.report.blocks import Block, prose, stack, words
from nanocheck.report.terminal_table import table


def render(drift: Drift) -> list[Block]:
    """Everything."""
    blocks: list[Block] = [_head(drift)]
    for what in ("allocated", "reserved"):
        rows = said.figures(drift, what)
        if rows:
            blocks.append(table(rows, left=[next(iter(rows[0]))]))
    for row, move in said.largest_first(drift):
        lines = [prose(line, indent=2, hanging=2) for line in said.explanation(move)]
        blocks.append(
            stack(prose(words(said.headline(move), style="bold"), f"  {said.title(row, drift)}"), *lines)
        )
    notes = [prose(line) for line in said.unanswered(drift)]
    if not drift.complete:
        notes.append(prose("interrupted: nothing is known of what is missing"))
    if notes:
        blocks.append(stack(*notes))
    blocks.append(prose(f"{said.summary(drift)}; figures: {said.provenances(drift)}"))
    return blocks


def _head(drift: Drift) -> Block:
    cards = dict.fromkeys(f"{row.card} (capability {row.capability})" for row in drift.rows)
    return stack(
        prose(f"peaks by release of PyTorch on {', '.join(cards) or 'no card'}"),
        prose(f"torch {', '.join(said.releases(drift))}"),
    )
