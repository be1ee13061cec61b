"""The site's page of a drift table: what moved and why, in the words of the terminal, and nobody's markup."""

from __future__ import annotations

import re
from pathlib import Path

import made_up_tables
import msgspec
from msgspec.structs import replace

from nanocheck.cli import main
from nanocheck.core.drift import Cell, Drift, Move, Release, Row
from nanocheck.core.result import Outcome, Provenance
from nanocheck.core.units import MIB
from nanocheck.core.verdict import Kind
from nanocheck.report import drift_words
from nanocheck.report.site import pages
from nanocheck.report.site.private import public_drift

TABLE = made_up_tables.table(made_up_tables.some_settings()[:2], made_up_tables.some_cards()[:1])


def cell(torch: str, reserved_mib: int, **changes: object) -> Cell:
    made = Cell(
        torch=torch,
        outcome=Outcome.COMPLETED,
        provenance=Provenance.VIRTUAL,
        verdict=Kind.SAFE,
        allocated_bytes=12_867 * MIB,
        reserved_bytes=reserved_mib * MIB,
    )
    return replace(made, **changes)


DRIFT = Drift(
    nanocheck="0.2.0",
    date="2026-01-02",
    asked="nanocheck drift --torch 2.11,2.12 -- python train.py",
    releases=(Release(torch="2.11.0"), Release(torch="2.12.1")),
    rows=(
        Row(
            name="python train.py --size 4",
            is_configuration=False,
            gpu="rtx4090",
            card="NVIDIA GeForce RTX 4090",
            capability="8.9",
            cells=(cell("2.11.0", 13_076), cell("2.12.1", 14_648)),
            moves=(
                Move(
                    before="2.11.0",
                    after="2.12.1",
                    allocated_bytes=0,
                    reserved_bytes=1572 * MIB,
                    verdicts=(Kind.SAFE, Kind.TIGHT),
                    phase="backward",
                    notes=("one request got another block",),
                ),
            ),
        ),
        Row(
            name="a row that stopped",
            is_configuration=False,
            gpu="rtx4090",
            card="NVIDIA GeForce RTX 4090",
            capability="8.9",
            cells=(cell("2.12.1", 0, outcome=Outcome.CRASHED, verdict=Kind.CRASHED, detail="no module x"),),
        ),
    ),
)


def test_the_page_says_each_figure_each_move_and_what_has_no_answer() -> None:
    made = pages.files(TABLE, drift=DRIFT)
    page = made["drift.html"]
    ((row, move),) = [(row, move) for row in DRIFT.rows for move in row.moves]
    for words in (
        "14,648.00 (+1,572.00!)",
        "13,076.00",
        drift_words.headline(move).replace(">", "&gt;"),
        "one request got another block",
        row.name,
        "no module x",
        DRIFT.asked,
    ):
        assert words in page
    assert "interrupted" not in page
    assert "interrupted" in pages.files(TABLE, drift=replace(DRIFT, complete=False))["drift.html"]
    assert all('href="../drift.html"' in text for name, text in made.items() if name.startswith("cards/"))
    assert "drift.html" not in pages.files(TABLE)["index.html"]


def test_what_a_script_or_a_user_brought_into_it_is_text_and_names_no_machine() -> None:
    evil = "<script>alert(1)</script>\x1b[2J\u202e"
    rows = tuple(
        replace(
            row,
            name=f"{row.name} {evil}",
            cells=tuple(replace(e, detail=f"{evil} /home/jo/x") for e in row.cells),
        )
        for row in DRIFT.rows
    )
    hostile = public_drift(
        replace(DRIFT, rows=rows, asked=f"nanocheck drift {evil} /srv/y on box7"), ("jo", "box7")
    )
    page = pages.files(TABLE, drift=hostile)["drift.html"]
    assert len(re.findall("<script", page)) == 1
    for secret in ("\x1b", "\u202e", "/home", "/srv", "box7"):
        assert secret not in page


def test_the_verb_takes_what_nanocheck_drift_wrote(tmp_path: Path) -> None:
    (tmp_path / "table.json").write_bytes(msgspec.json.encode(TABLE))
    (tmp_path / "drift.json").write_bytes(msgspec.json.encode(DRIFT))
    out, table = tmp_path / "out", str(tmp_path / "table.json")
    assert main(["site", str(out), "--table", table, "--drift", str(tmp_path / "drift.json")]) == 0
    assert "+1,572.00" in (out / "drift.html").read_text()
    assert main(["site", str(out), "--table", table, "--drift", table]) == 4
