"""The table as files that other programs read."""

from __future__ import annotations

import msgspec

from nanocheck.core.scrub import scrub
from nanocheck.core.table import Table
from nanocheck.report.table_frame import frame

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@")


def as_json(table: Table) -> str:
    """Everything, as ``nanocheck site`` and the others read it; ends in a newline."""
    return msgspec.json.encode(table).decode() + "\n"


def as_csv(table: Table) -> str:
    """A line for each cell, as ``nanocheck table --csv`` writes it; text that a spreadsheet would run gets an
    apostrophe before it.
    """
    text: str = frame(table).map(_plain).to_csv(index=False, lineterminator="\n")
    return text


def _plain(value: object) -> object:
    if not isinstance(value, str):
        return value
    shown = scrub(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
