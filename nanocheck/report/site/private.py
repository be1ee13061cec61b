"""What may be published: tables and ledgers without absolute paths, names of people and machines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from nanocheck.core.anonymous import NAME, PATH, known_names
from nanocheck.core.drift import Drift
from nanocheck.core.table import Cell, Difference, Largest, Proof, Setting, Table, TableCard
from nanocheck.report.ledger import Ledger

#: An absolute path where one can begin: not within an address, and not within a relative path.
_ABSOLUTE = re.compile(r"""(?<![\w.~:/\\>-])(?:~|[A-Za-z]:[/\\]|/)(?=[\w.~-])[^\s"'`,;()<>]*""")
#: Fields in which text of the machine that made the table can stand; the others are names of its own.
_TEXTS = {
    Cell: ("command",),
    TableCard: ("usable_source",),
    Setting: ("group", "why"),
    Difference: ("derived", "run"),
    Largest: ("reason", "command"),
}
Part = TypeVar("Part", Cell, TableCard, Setting, Difference, Largest)


def public(table: Table, names: Sequence[str] | None = None) -> Table:
    """The same table without them.

    Args:
        names: that must not stand there; by default this machine's, its user's and their folders'.
    """
    clean = _cleaner(names)

    def cell(found: Cell) -> Cell:
        verdict = msgspec.structs.replace(found.verdict, sentence=clean(found.verdict.sentence))
        return msgspec.structs.replace(_cleaned(found, clean), verdict=verdict)

    def proven(proof: Proof | None) -> Proof | None:
        if proof is None:
            return None
        differences = tuple(_cleaned(each, clean) for each in proof.differences)
        return msgspec.structs.replace(proof, differences=differences)

    largest = table.largest
    if largest is not None:
        largest = msgspec.structs.replace(
            largest,
            found=tuple(_cleaned(each, clean) for each in largest.found),
            left_out={way: clean(why) for way, why in largest.left_out.items()},
            proof=proven(largest.proof),
        )
    return msgspec.structs.replace(
        table,
        settings=tuple(_cleaned(each, clean) for each in table.settings),
        cards=tuple(_cleaned(each, clean) for each in table.cards),
        cells=tuple(map(cell, table.cells)),
        proof=proven(table.proof),
        largest=largest,
    )


def public_ledger(ledger: Ledger, names: Sequence[str] | None = None) -> Ledger:
    """The same ledger without them; what its claims say comes from files of the project."""
    return msgspec.structs.replace(ledger, command=_cleaner(names)(ledger.command))


def public_drift(drift: Drift, names: Sequence[str] | None = None) -> Drift:
    """The same drift table without them, in whatever ran and in why it did not."""
    clean = _cleaner(names)
    rows = tuple(
        msgspec.structs.replace(
            row,
            name=clean(row.name),
            cells=tuple(msgspec.structs.replace(each, detail=clean(each.detail)) for each in row.cells),
        )
        for row in drift.rows
    )
    return msgspec.structs.replace(drift, asked=clean(drift.asked), rows=rows)


def _cleaner(names: Sequence[str] | None) -> Callable[[str], str]:
    known = sorted(known_names() if names is None else names, key=len, reverse=True)
    pattern = "|".join(re.escape(each) for each in known if not each.startswith("/"))
    named = re.compile(rf"(?<!\w)(?:{pattern})(?!\w)", re.IGNORECASE) if pattern else None

    def clean(text: str) -> str:
        text = _ABSOLUTE.sub(PATH, text)
        return text if named is None else named.sub(NAME, text)

    return clean


def _cleaned(part: Part, clean: Callable[[str], str]) -> Part:
    changes = {name: clean(getattr(part, name)) for name in _TEXTS[type(part)]}
    return msgspec.structs.replace(part, **changes)
