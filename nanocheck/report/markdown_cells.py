"""Text that cannot break out of a Markdown table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pandas as pd
from tabulate import tabulate

# Entities instead of backslashes: GitHub splits a row at ``\\|`` where an odd number of backslashes precedes.
_ENTITIES = str.maketrans({character: f"&#{ord(character)};" for character in "|`*[]~\\$"})
_LONE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def escape(text: object) -> str:
    """A text as one line of plain Markdown: no markup, no HTML, no table borders, no control bytes."""
    line = str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _LONE_UNDERSCORE.sub("&#95;", line.translate(_ENTITIES))
    return "".join(
        " " if character.isspace() else character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in line
    ).strip()


def code(text: str) -> str:
    """A text as a block of code, which no fence within it ends."""
    fence = "`" * max(3, 1 + max((len(each) for each in re.findall("`+", text)), default=0))
    return f"{fence}\n{text}\n{fence}"


def frame_of(rows: Sequence[Any], columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Rows as they are: text of strangers need not be UTF-8, and pandas would hand it to Arrow where that is
    installed, which refuses it.

    Args:
        rows: mappings by column, or sequences in the order of ``columns``.
    """
    labels = None if columns is None else pd.Index(list(columns), dtype=object)
    return pd.DataFrame(list(rows), columns=labels, dtype=object)


def table(frame: pd.DataFrame, *, right: Sequence[str] = ()) -> str:
    """A frame as a table in GitHub's Markdown, every cell escaped; the columns in ``right`` hold numbers."""
    escaped = frame.astype(object).map(escape)
    return tabulate(
        escaped.values.tolist(),
        headers=[escape(name) for name in escaped.columns],
        tablefmt="github",
        disable_numparse=True,
        colalign=["right" if name in right else "left" for name in escaped.columns],
    )
