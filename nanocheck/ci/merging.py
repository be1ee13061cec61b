"""The checks of several jobs as one table: virtual and measured, of one commit or of many.

What was merged can be merged again: a cell is what ran, on which card, where from, at which commit, and the
latest one counts, so that the order of the files and how often one is given change nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from nanocheck.ci.settings import GATE_FILE
from nanocheck.core.errors import RequestError
from nanocheck.core.files import read_typed, write_atomically
from nanocheck.core.gate import SCHEMA, Gate
from nanocheck.core.scrub import scrub
from nanocheck.core.units import mib
from nanocheck.report.foreign_markdown import code

MERGED = "merged.json"
_HINT = "give the folders in which the jobs' artifacts lie"


class Line(msgspec.Struct, frozen=True, kw_only=True, order=True, forbid_unknown_fields=True):
    """One answer; sizes in bytes. ``seen``: when it was checked."""

    id: str
    gpu: str
    provenance: str
    commit: str
    seen: str
    verdict: str
    allocated_bytes: int
    reserved_bytes: int
    headroom_bytes: int | None
    change_bytes: int | None
    torch: str
    nanocheck: str

    @property
    def cell(self) -> tuple[str, str, str, str]:
        return self.id, self.gpu, self.provenance, self.commit


class Merged(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them, sorted."""

    schema: int = SCHEMA
    lines: tuple[Line, ...] = ()


def lines_of(gate: Gate) -> list[Line]:
    """The answers of a check."""
    return [
        Line(
            id=row.id,
            gpu=row.gpu,
            provenance=row.provenance,
            commit=gate.head,
            seen=gate.date,
            verdict=str(row.verdict),
            allocated_bytes=row.allocated_bytes,
            reserved_bytes=row.reserved_bytes,
            headroom_bytes=row.headroom_bytes,
            change_bytes=row.diff.change_bytes if row.diff is not None else None,
            torch=row.torch or "",
            nanocheck=gate.nanocheck,
        )
        for row in gate.rows
    ]


def merge(lines: Iterable[Line]) -> Merged:
    """Each cell once, the latest; among equally late ones the largest, so that the order does not matter."""
    found: dict[tuple[str, str, str, str], Line] = {}
    for line in lines:
        known = found.get(line.cell)
        if known is None or (line.seen, _rest(line)) > (known.seen, _rest(known)):
            found[line.cell] = line
    return Merged(lines=tuple(found[cell] for cell in sorted(found)))


def _rest(line: Line) -> tuple[str, ...]:
    return tuple(str(getattr(line, name)) for name in line.__struct_fields__)


def load(places: Sequence[Path]) -> list[Line]:
    """What stands in the files ``gate.json`` and ``merged.json`` below these folders.

    Raises:
        RequestError: there are none.
        StoredDataError: one is damaged.
    """
    found: list[Line] = []
    files = [path for place in places for name in (GATE_FILE, MERGED) for path in sorted(place.rglob(name))]
    for path in files:
        if path.name == MERGED:
            found += read_typed(path, Merged, what="a merged table", schema=SCHEMA, hint=_HINT).lines
        else:
            gate = read_typed(path, Gate, what="a check of a change", schema=SCHEMA, hint=_HINT)
            found += lines_of(gate)
    if not files:
        raise RequestError(f"expected {GATE_FILE} or {MERGED} somewhere below, found none", hint=_HINT)
    return found


def write(merged: Merged, folder: Path) -> str:
    """``merged.json``, ``table.csv`` and ``table.md``; returns the last one's text.

    Raises:
        MachineError: the folder cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(merged), indent=1).decode()
    write_atomically(folder / MERGED, text + "\n")
    write_atomically(folder / "table.csv", _csv(merged))
    page = markdown(merged)
    write_atomically(folder / "table.md", page)
    return page


def _csv(merged: Merged) -> str:
    """A cell that a spreadsheet would take for a formula gets a space before it."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(Line.__struct_fields__)
    for line in merged.lines:
        writer.writerow([_cell(getattr(line, name)) for name in Line.__struct_fields__])
    return stream.getvalue()


def _cell(value: object) -> object:
    text = scrub(value)
    return f" {text}" if isinstance(value, str) and text.startswith(tuple("=+-@")) else value


def markdown(merged: Merged) -> str:
    """A table for people, measured and virtual beside each other."""
    head = ("what", "card", "how", "verdict", "allocated MiB", "reserved MiB", "headroom MiB", "commit")
    lines = ["| " + " | ".join(head) + " |", "| :-- | :-- | :-- | :-- | --: | --: | --: | :-- |"]
    for line in merged.lines:
        room = mib(line.headroom_bytes) if line.headroom_bytes is not None else "-"
        cells = (
            code(line.id, most=80),
            code(line.gpu),
            code(line.provenance),
            code(line.verdict),
            mib(line.allocated_bytes),
            mib(line.reserved_bytes),
            room,
            code(line.commit[:12]),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
