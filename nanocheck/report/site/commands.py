"""The command that finds out what the table does not say: another batch of a way, on some card."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterable

from nanocheck.core.table import Cell

#: What the reader puts in; the browser does it for who has chosen already.
CARD, BATCH = "--gpu CARD", "BATCH"
#: How a command names its card: an id of the catalog, or a card in words.
_OPTIONS = ("--gpu", "--card")


def another_batch(cells: Iterable[tuple[Cell, int]]) -> str | None:
    """A cell's own command with places for a card and a batch; None where none of them names both.

    Args:
        cells: of one way, with their batches.
    """
    return next((found for cell, batch in cells if (found := _with_places(cell, batch))), None)


def card_option(gpu: str, cells: Collection[Cell]) -> str | None:
    """How the commands of a card's cells name it, as one types it; None where none of them does.

    Without a cell it is taken to be of the catalog: ``--gpu rtx4070``.
    """
    if not cells:
        return shlex.join(["--gpu", gpu])
    found = (_split(cell) for cell in cells)
    return next((shlex.join(option) for _, option, _ in found if option), None)


def _with_places(cell: Cell, batch: int) -> str | None:
    before, option, behind = _split(cell)
    placed = [re.sub(rf"(?<=^batch=){batch}$", BATCH, word) for word in behind]
    if not option or placed == behind:
        return None
    return f"{shlex.join(before)} {CARD} {shlex.join(placed)}".strip()


def _split(cell: Cell) -> tuple[list[str], list[str], list[str]]:
    """A cell's command, as what stands before the option that names the card, the option, and the rest."""
    try:
        words = shlex.split(cell.command)
    except ValueError:  # a quotation that does not end
        return [], [], []
    place = next((at for at, word in enumerate(words[:-1]) if word in _OPTIONS), len(words))
    return words[:place], words[place : place + 2], words[place + 2 :]
