"""The command that finds out what the table does not say: another batch of a way, on some card."""

from __future__ import annotations

import re
import shlex

from nanocheck.core.table import Cell

#: What the reader puts in; the browser does it for who has chosen already.
CARD, BATCH = "CARD", "BATCH"


def another_batch(cell: Cell, batch: int) -> str | None:
    """A cell's own command with places for a card and a batch; None where it does not name both.

    Args:
        batch: of the cell.
    """
    try:
        words = shlex.split(cell.command)
    except ValueError:  # a quotation that does not end
        return None
    found = [
        _placed(word, before, cell.gpu, batch) for before, word in zip(["", *words], words, strict=False)
    ]
    if sum(word == CARD for word in found) != 1 or sum(word.endswith(f"={BATCH}") for word in found) != 1:
        return None
    return shlex.join(found)


def _placed(word: str, before: str, gpu: str, batch: int) -> str:
    if before == "--gpu" and word == gpu:
        return CARD
    return re.sub(rf"(?<=^batch=){batch}$", BATCH, word)
