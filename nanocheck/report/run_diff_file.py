"""What both sides of a comparison are read from: a run, runs of several cards, or a report of the suites."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from nanocheck.core.allocation_change import Allowance
from nanocheck.core.diff_side import Side, Subject, without_folders
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.files import read_json, read_typed
from nanocheck.core.run_diff import RunDiffs, diff_all
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.report import report_file, run_file
from nanocheck.search import every_card
from nanocheck.search.every_card import CardRow, EveryCard

RUN, CARDS, REPORT = "run", "runs of several cards", "memory report"
_HINT = "give what `nanocheck run --json` or `pytest suites/` wrote"


def kind_of(data: Any) -> str | None:
    """``RUN``, ``CARDS`` or ``REPORT``; ``None``: something else."""
    if not isinstance(data, dict):
        return None
    if "rows" in data and "margin_bytes" in data:
        return REPORT
    if "result" in data and "verdict" in data:
        return RUN
    return CARDS if "cards" in data and "command" in data else None


def compare_files(before: Path, after: Path, allowance: Allowance | None = None) -> RunDiffs:
    """
    Raises:
        StoredDataError: one is damaged, of another schema, or none of the three.
        RequestError: they are of different kinds, of two cards, or have nothing in common.
    """
    kinds = [_kind(path) for path in (before, after)]
    if kinds[0] != kinds[1]:
        raise RequestError(
            f"expected two files of one kind, found a {kinds[0]} in {before} and a {kinds[1]} in {after}"
        )
    sides = [_READERS[kinds[0]](path) for path in (before, after)]
    if not sides[0].keys() & sides[1].keys():
        found = [", ".join(list(side)[:3]) or "none" for side in sides]
        what = "card" if kinds[0] != REPORT else "configuration"
        raise RequestError(
            f"expected two files with a {what} in common, found {found[0]} and {found[1]}",
            hint="run both for the same cards",
        )
    return diff_all(sides[0], sides[1], (str(before), str(after)), allowance)


def _kind(path: Path) -> str:
    data, _ = read_json(path, hint=_HINT)
    found = kind_of(data)
    if found is None:
        raise StoredDataError(
            f"{path}: expected a run, runs of several cards or a memory report, found something else",
            hint=_HINT,
        )
    return found


def _run(path: Path) -> dict[str, Subject]:
    found = run_file.load(path)
    subject = Subject.of(found)
    return {_card(subject.gpu, subject.platform): subject}


def _report(path: Path) -> dict[str, Subject]:
    found = report_file.load(path)
    subjects = (
        Subject.of(JudgedRun(result=row.result, margin_bytes=found.margin_bytes, verdict=row.verdict))
        for row in found.rows
    )
    return {f"{each.id} on {_card(each.gpu, each.platform)}": each for each in subjects}


def _cards(path: Path) -> dict[str, Subject]:
    found = read_typed(path, EveryCard, what="runs of several cards", schema=every_card.SCHEMA, hint=_HINT)
    if any(row.held is not None and not 0 <= row.held < len(found.held) for row in found.cards):
        raise StoredDataError(f"{path}: malformed runs of several cards: no such held", hint=_HINT)
    return {_card(row.gpu, found.platform): _of_row(row, found) for row in found.cards}


def _card(gpu: str, platform: str) -> str:
    return gpu if platform == "linux" else f"{gpu} on {platform}"


def _of_row(row: CardRow, found: EveryCard) -> Subject:
    return Subject(
        id=without_folders(shlex.join(found.command)),
        gpu=row.gpu,
        card=row.name,
        platform=found.platform,
        side=Side(
            provenance=row.provenance,
            verdict=row.verdict.kind,
            sentence=without_folders(row.verdict.sentence),
            allocated_bytes=row.allocated_bytes,
            reserved_bytes=row.reserved_bytes,
            process_bytes=row.verdict.process_bytes,
            headroom_bytes=row.verdict.headroom_bytes,
            exact=row.verdict.fits or row.verdict.kind is Kind.LOST_WORK,
            phase="",
            step=0,
        ),
        held=found.held[row.held] if row.held is not None else (),
    )


_READERS = {RUN: _run, CARDS: _cards, REPORT: _report}
