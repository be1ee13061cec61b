"""Sets the tables of docs/settings.md and docs/table.md from what runs found. Run from anywhere; commit what
changes.

A table follows its mark, ``<!-- table: NAME -->``, and is replaced whole. Its figures come from the main
job's report (``reports/rtx4070.json``), from ``docs/settings-tables.json``, which
``python benchmarks/settings_tables.py`` writes, or from ``reports/cards.json``, which
``nanocheck table --time --prove 100 --seed 1 --json reports/cards.json`` writes, and
``nanocheck table --table reports/cards.json --largest-batch`` adds to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

from nanocheck.core.table import Table
from nanocheck.core.table import load as load_table
from nanocheck.report import largest_words, markdown_cells
from nanocheck.report.largest_batch_table import answer_frame
from nanocheck.report.report_file import load
from nanocheck.report.table_frame import setting_name
from nanocheck.report.table_markdown import usable
from nanocheck.report.table_text import how_it_was_made

HERE = Path(__file__).parent
PAGE = HERE / "settings.md"
CARDS_PAGE = HERE / "table.md"
REPORT = HERE.parent / "reports" / "rtx4070.json"
STORED = HERE / "settings-tables.json"
CARDS = HERE.parent / "reports" / "cards.json"

_BATCHES = ["precision", "step", "allocator", "run", "largest safe batch", "tight", "out of memory"]
_CARDS = {
    "rtx4070": "RTX 4070, 12 GB",
    "rtx4070-laptop": "RTX 4070 laptop, 8 GB",
    "rtx4090": "RTX 4090, 24 GB",
}
#: What each word adds to the methods before it.
_ADDED = {
    "expandable": "as released (Muon)",
    "chunked-loss": "+ checkpointing, chunked loss",
    "weights-bf16": "+ bf16 weights",
    "8bit": "+ 8-bit AdamW for Muon",
    "update-in-backward": "+ update in the backward",
}
_WORTH = {
    "eager": "none",
    "checkpoint-block": "block checkpointing",
    "checkpoint-selective": "selective checkpointing",
    "chunked-loss": "chunked loss (8 chunks)",
    "update-in-backward": "update in the backward",
    "weights-bf16": "bf16 weights",
    "8bit": "8-bit AdamW",
    "checkpoint-block+chunked-loss": "block checkpointing, chunked loss",
    "checkpoint-block+chunked-loss+weights-bf16+8bit+update-in-backward": (
        "the same, bf16 weights, 8-bit AdamW, update in the backward"
    ),
}


def main() -> None:
    for each in (PAGE, CARDS_PAGE):
        each.write_text(page(each.read_text()))


def page(text: str) -> str:
    """A page with every marked table as it is now.

    Raises:
        KeyError: a mark that names no table.
    """
    return re.sub(
        r"(?m)^(<!-- table: (.+?) -->\n\n)(?:\|.*\n)+", lambda found: found[1] + TABLES[found[2]](), text
    )


@cache
def stored() -> Mapping[str, Any]:
    """What ``benchmarks/settings_tables.py`` found."""
    found: Mapping[str, Any] = json.loads(STORED.read_text())
    return found


def largest_batches(model: str) -> str:
    """Of the main job: bf16 and fp32, accumulating, from a fresh start."""
    frame = answer_frame(load(REPORT).rows)
    shown = frame[
        (frame["model"] == model)
        & frame["precision"].isin(["bf16", "fp32"])
        & (frame["accumulation"] == "2 or more")
        & (frame["run"] != "resumed from a checkpoint")
    ]
    return markdown_cells.table(shown[_BATCHES]) + "\n"


def methods() -> str:
    """Allocated and reserved peaks of GPT-2 124M by method."""
    rows = [
        [_WORTH[each["method"]], *(_peaks(each.get(step)) for step in ("eager", "compiled"))]
        for each in stored()["worth"]
    ]
    return _table(["method", "eager: allocated, reserved (MiB)", "compiled"], rows)


def _peaks(found: Mapping[str, int] | None) -> str:
    if found is None:
        return ""
    return ", ".join(f"{found[name] / 2**20:,.0f}" for name in ("allocated_bytes", "reserved_bytes"))


def nanochat_by_card() -> str:
    """The largest batch of each card, depth and set of methods, at 2,048 tokens."""
    cells = [each for each in stored()["largest"] if each["length"] == 2048]
    methods = list(dict.fromkeys(each["method"] for each in cells))
    found = {(each["card"], each["depth"], each["method"]): each for each in cells if _released(each)}
    rows = [
        [
            _CARDS[card],
            _model(found[card, depth, method]),
            *(_largest(found[card, depth, m]) for m in methods),
        ]
        for card, depth, method in found
        if method == methods[0]
    ]
    return _table(["card", "model", *(_ADDED[each.rpartition("+")[2]] for each in methods)], rows)


def nanochat_by_length() -> str:
    """The largest batch with every method on the 12 GB card."""
    cells = stored()["largest"]
    fullest = max((each["method"] for each in cells), key=len)
    shown = [each for each in cells if each["card"] == "rtx4070" and each["method"] == fullest]
    lengths = sorted({each["length"] for each in shown})
    found = {(each["model"], each["depth"], each["length"]): each for each in shown}
    several = {(model, depth) for model, depth, length in found if length != 2048}
    rows = [
        [_model(found[model, depth, 2048]), *(_largest(found.get((model, depth, each))) for each in lengths)]
        for model, depth in sorted(several, key=lambda each: each[1])
    ]
    head = [f"T = {lengths[0]:,}", *(f"{each:,}" for each in lengths[1:])]
    return _table(["model", *head], rows)


def _released(cell: Mapping[str, Any]) -> bool:
    return bool(cell["model"] == "nanochat-2026")


def _model(cell: Mapping[str, Any]) -> str:
    whose = "" if _released(cell) else "October's "
    return f"{whose}d{cell['depth']}, {cell['parameters'] / 1e6:,.0f} M"


def _largest(cell: Mapping[str, Any] | None) -> str:
    return "" if cell is None else str(cell["largest"] or "-")


@cache
def compatibility() -> Table:
    """The table of all cards."""
    return load_table(CARDS)


def cards_how() -> str:
    """How it was made, a sentence a row."""
    sentences = map(markdown_cells.escape, how_it_was_made(compatibility()))
    return _table(["how it was made"], [[each] for each in sentences])


def cards_largest() -> str:
    """The largest safe batch of each card and way, searched where it was."""
    found = compatibility()
    largest = largest_words.shown(found)
    ways = {each.way: largest_words.named(found, each, _short(setting_name(each))) for each in found.settings}
    head = ["card", "usable MiB", *map(markdown_cells.escape, ways.values())]
    rows = [
        [
            markdown_cells.escape(card.name),
            usable(card),
            *(
                "unsupported" if unsupported(found, way, card.gpu) else largest.get((way, card.gpu), "-")
                for way in ways
            ),
        ]
        for card in found.cards
    ]
    return _table(head, rows)


def _short(name: str) -> str:
    return re.sub(r" \(.*?\)|, \d+ layers, \d+ heads", "", name).replace(", 2048 tokens", "")


def unsupported(found: Table, way: str, gpu: str) -> bool:
    """Whether no cell of that way says anything about memory."""
    ways = {each.id: each.way for each in found.settings}
    cells = [each for each in found.cells if each.gpu == gpu and ways[each.setting] == way]
    return not any(each.verdict.is_answer for each in cells)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(each) + " |\n" for each in lines)


#: How each table is made, by its mark.
TABLES: Mapping[str, Callable[[], str]] = {
    "largest batch, gpt2": partial(largest_batches, "GPT-2 124M (12 layers, 12 heads, 768 wide)"),
    "largest batch, gpt2 576 wide": partial(
        largest_batches, "GPT-2, 12 layers, 12 heads, 576 wide (77 M parameters)"
    ),
    "methods": methods,
    "nanochat by card": nanochat_by_card,
    "nanochat by length": nanochat_by_length,
    "cards, how": cards_how,
    "cards, largest": cards_largest,
}

if __name__ == "__main__":
    main()
