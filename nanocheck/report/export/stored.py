"""The files of ours that other formats are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from nanocheck.core import run_diff, table
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.files import read_json, read_typed
from nanocheck.core.run_diff import RunDiffs
from nanocheck.core.table import Table
from nanocheck.core.units import MOST_BYTES
from nanocheck.report import report_file, run_diff_file, run_file
from nanocheck.report.export.card_run import CardRun, Span
from nanocheck.report.export.sources import of_card, of_cell, of_diff, of_row, of_run
from nanocheck.search import every_card

_HINT = "nanocheck run --json FILE -- ..., or pytest suites/ for reports/*.json"


def load(path: Path) -> list[CardRun]:
    """The runs in a result of ``nanocheck run --json``, on one card or several, in a report, in a table of
    ``nanocheck table --json``, or, as its newer side, in a comparison of ``nanocheck diff --json``.

    Raises:
        StoredDataError: the file is damaged, of another schema or kind, or says more bytes than a reader of
            JSON keeps exactly.
    """
    data, _ = read_json(path, hint=_HINT)
    runs = _read(path, data)
    for run in runs:
        for size in _sizes(run):
            if abs(size) > MOST_BYTES:
                raise StoredDataError(
                    f"{path}: expected at most {MOST_BYTES} bytes, found {size}", hint=_HINT
                )
    return runs


def _read(path: Path, data: Any) -> list[CardRun]:
    kind = run_diff_file.kind_of(data)
    if kind == run_diff_file.RUN:
        run = run_file.load(path)
        return [of_run(run, run.step_time)]
    if kind == run_diff_file.REPORT:
        return [of_row(row) for row in report_file.load(path).rows]
    if kind == run_diff_file.CARDS:
        found = read_typed(
            path, every_card.EveryCard, what="runs on cards", schema=every_card.SCHEMA, hint=_HINT
        )
        return [of_card(found, row) for row in found.cards]
    if isinstance(data, dict) and "cells" in data:
        cells = read_typed(path, Table, what="a table", schema=table.SCHEMA, hint=_HINT)
        cards = {each.gpu: each for each in cells.cards}
        lost = {each.gpu for each in cells.cells} - set(cards)
        if lost:
            raise StoredDataError(
                f"{path}: expected a card for each cell, found none for {', '.join(sorted(lost))}",
                hint=_HINT,
            )
        return [of_cell(cells, cards[each.gpu], each) for each in cells.cells]
    if isinstance(data, dict) and "diffs" in data:
        compared = read_typed(path, RunDiffs, what="compared runs", schema=run_diff.SCHEMA, hint=_HINT)
        return [of_diff(each) for each in compared.diffs]
    raise StoredDataError(
        f"{path}: expected a run, runs of several cards, a memory report, a comparison or a table, "
        "found none of them",
        hint=_HINT,
    )


def unique(runs: Iterable[CardRun]) -> list[CardRun]:
    """The runs, each title once: a reader keeps one value for one name.

    Raises:
        RequestError: two runs have the same title.
    """
    found: dict[str, CardRun] = {}
    for run in runs:
        if run.title in found:
            raise RequestError(
                f"expected each run once, found two: {run.title}", hint="give only one of the files"
            )
        found[run.title] = run
    return list(found.values())


def on_cards(runs: Sequence[CardRun], gpus: Sequence[str]) -> list[CardRun]:
    """Those on the cards with these ids; all for none.

    Raises:
        RequestError: no run was on one of them.
    """
    missing = sorted(set(gpus) - {run.gpu for run in runs})
    if missing:
        there = ", ".join(sorted({run.gpu for run in runs})) or "none"
        raise RequestError(f"--gpu: expected cards of the files ({there}), found {', '.join(missing)}")
    return [run for run in runs if not gpus or run.gpu in gpus]


def _sizes(run: CardRun) -> Iterable[int]:
    for value in (run.allocated_bytes, run.reserved_bytes, run.process, run.headroom):
        if isinstance(value, Span):
            yield value.least
            yield value.least if value.most is None else value.most
        elif value is not None:
            yield value
