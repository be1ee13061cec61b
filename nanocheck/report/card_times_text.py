"""How long the same step takes on each of many cards: a table, the fastest first, and what it leaves out."""

from __future__ import annotations

from nanocheck.core.step_time import StepTime
from nanocheck.report.blocks import Block, Words, prose, stack, verdict
from nanocheck.report.terminal_table import table
from nanocheck.report.time_text import NOBODY_TIMED, ms, span
from nanocheck.search.every_card import CardRow, EveryCard


def card_times_blocks(found: EveryCard) -> list[Block]:
    """The table under the one of memory; nothing where nobody asked."""
    if all(row.time is None for row in found.cards):
        return []
    rows: list[dict[str, Words]] = [
        {"card": row.gpu, "verdict": verdict(row.verdict.kind), **figures(time)}
        for row, time in by_speed(found)
    ]
    head = "MODELLED: an optimizer step, the fastest card first" if rows else "no time on any card"
    return [
        prose(head),
        table(rows, whole=["card", "verdict", "decided by"]),
        stack(*(prose(f"note: {each}") for each in notes(found))),
    ]


def by_speed(found: EveryCard) -> list[tuple[CardRow, StepTime]]:
    """Cards with an estimate, the fastest first."""
    known = [(row, row.time.estimate) for row in found.cards if row.time and row.time.estimate]
    return sorted(known, key=lambda each: (each[1].seconds, each[0].gpu))


def figures(time: StepTime) -> dict[str, str]:
    """The cells of one card, by the names of their columns."""
    tokens = time.tokens_per_second
    return {
        "ms/step": ms(time.seconds),
        "80 %": span(time),
        "tokens/s": "-" if tokens is None else f"{tokens:,.0f}",
        "MFU": f"{time.mfu_exact:.1%}",
        "decided by": time.decided_by,
    }


def notes(found: EveryCard) -> list[str]:
    """Why cards have no row or no interval, and what was recorded where."""
    said: dict[str, list[str]] = {}
    for row in found.cards:
        if row.time and row.verdict.fits and not row.time.estimate:
            said.setdefault(f"no time: {row.time.why_not}", []).append(row.gpu)
    known = by_speed(found)
    for row, time in known:
        if time.no_interval:
            said.setdefault(f"no interval: {time.no_interval}", []).append(row.gpu)
    why = [f"{', '.join(cards)}: {reason}" for reason, cards in said.items()]
    if known:
        cards = dict.fromkeys(row.time.recorded_on for row, _ in known if row.time)
        why.append(
            f"kernels and this host's launches were recorded in the runs for {', '.join(cards)}, one for "
            "each compute capability"
        )
    return [*why, NOBODY_TIMED]
