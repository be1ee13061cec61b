"""A compatibility table as a Markdown page: the largest safe batch by card first, then every cell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nanocheck.core.scrub import scrub
from nanocheck.core.table import Cell, Setting, Table, TableCard
from nanocheck.core.verdict import Kind
from nanocheck.report import largest_words
from nanocheck.report.markdown_cells import code, escape, frame_of, table
from nanocheck.report.table_frame import mebibytes, model_name_of, setting_name, would_fit
from nanocheck.report.table_text import how_it_was_made

#: How a command names a card of the catalog; quoted, if it holds a space.
_ID = re.compile(r"--gpu ('[^']*'|\S+)")


def render(found: Table) -> str:
    """The whole page, ending in a newline."""
    parts = ["# What fits which card", *(escape(each) for each in how_it_was_made(found))]
    models = list(dict.fromkeys(map(model_name_of, found.settings)))
    for model in models:
        ways = [each for each in _ways(found) if model_name_of(each) == model]
        searched = "searched; else the largest of those asked" if found.largest else "of this table"
        parts += [f"## {escape(model)}", f"The largest batch that is safe, {searched}:"]
        parts.append(_largest(found, ways))
    parts.append("## Every cell")
    parts.append(
        "MiB. What does not fit is told by what it asks for on a card with room. A setting's command with "
        "the id of a card for CARD runs that cell again; a card in words is named by them."
    )
    cells, cards = found.by_setting(), {each.gpu: each for each in found.cards}
    settings = {each.id: each for each in found.settings}
    parts += [_cells(each, cells[each.id], cards, settings) for each in found.settings if cells[each.id]]
    proofs = [found.proof, None if found.largest is None else found.largest.proof]
    if differences := [each for proof in proofs if proof is not None for each in proof.differences]:
        rows = [msgspec.to_builtins(each) for each in differences]
        parts += ["## Derived cells that a run contradicts", table(frame_of(rows))]
    return scrub("\n\n".join(parts)) + "\n"


def _ways(found: Table) -> list[Setting]:
    return list({each.way: each for each in reversed(found.settings)}.values())[::-1]


def _largest(found: Table, ways: Sequence[Setting]) -> str:
    answers = largest_words.shown(found) | _unanswered(found)
    named = {each.way: setting_name(each).removeprefix(model_name_of(each) + ", ") for each in ways}
    often = Counter(named.values())
    named = {way: name if often[name] == 1 else f"{name} ({way})" for way, name in named.items()}
    named = {each.way: largest_words.named(found, each, named[each.way]) for each in ways}
    rows = [
        {
            "card": card.name,
            "usable MiB": usable(card),
            **{name: answers.get((way, card.gpu), "?") for way, name in named.items()},
        }
        for card in found.cards
    ]
    return table(frame_of(rows), right=["usable MiB", *named.values()])


def _unanswered(found: Table) -> dict[tuple[str, str], str]:
    """(way, card) -> why, where not one cell says anything about memory: that nothing fits is not known."""
    ways = {each.id: each.way for each in found.settings}
    answered = {(ways[each.setting], each.gpu) for each in found.cells if each.verdict.is_answer}
    every = {(ways[each.setting], each.gpu): each.verdict.kind.value for each in found.cells}
    return {key: kind for key, kind in every.items() if key not in answered}


def usable(card: TableCard) -> str:
    """Whole MiB that drivers leave, and whether that is computed."""
    computed = " (computed)" if card.usable_source.startswith("computed") else ""
    return mebibytes(card.usable_bytes) + computed


def _cells(
    setting: Setting, cells: Sequence[Cell], cards: Mapping[str, TableCard], settings: Mapping[str, Setting]
) -> str:
    rows = [_row(cell, cards[cell.gpu], would_fit(cell, settings)) for cell in cells]
    config = setting.config
    head = (
        f"### {escape(setting_name(setting))}, batch {config.batch} x {config.accumulation}\n\n"
        f"Length {config.block_size}, {escape(config.optimizer)}, attention "
        f"{escape(' or '.join(dict.fromkeys(each.attention for each in cells)))}: {escape(setting.why)}."
    )
    again = "\n\n" + code("\n".join(_commands(cells)))
    numbers = ["usable", "headroom", "allocated", "reserved", "process", "ms a step (modelled)", "tokens/s"]
    return f"{head}{again}\n\n{table(frame_of(rows), right=numbers)}"


def _commands(cells: Iterable[Cell]) -> list[str]:
    """Those of a setting; cards that are named by their id alone share one, with a place for it."""
    return list(dict.fromkeys(_ID.sub("--gpu CARD", each.command, count=1) for each in cells))


def _row(cell: Cell, card: TableCard, fits: str) -> dict[str, str]:
    time = cell.time
    return {
        "card": card.name,
        "gpu": card.gpu,
        "usable": usable(card),
        "verdict": cell.verdict.kind.value,
        "headroom": mebibytes(cell.verdict.headroom_bytes),
        "allocated": mebibytes(cell.allocated_bytes),
        "reserved": mebibytes(cell.reserved_bytes),
        "process": mebibytes(cell.verdict.process_bytes),
        "ms a step (modelled)": "-" if time is None else f"{time.seconds * 1e3:,.0f}",
        "tokens/s": "-"
        if time is None or time.tokens_per_second is None
        else f"{time.tokens_per_second:,.0f}",
        "provenance": f"{cell.provenance.value}, {cell.how.value}",
        "what would fit": fits or ("" if cell.verdict.kind is Kind.SAFE else "nothing in this table"),
    }
