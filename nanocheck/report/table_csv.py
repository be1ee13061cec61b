"""A compatibility table as a file of comma-separated values, for pandas and for spreadsheets."""

from __future__ import annotations

from nanocheck.core.scrub import scrub
from nanocheck.core.table import Table
from nanocheck.report.table_frame import frame

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@")


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
