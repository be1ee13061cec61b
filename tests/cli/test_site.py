"""``nanocheck site``: files for a folder, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import made_up_tables
import msgspec
import pytest
from msgspec.structs import replace
from paths import ROOT

from nanocheck.cli import main
from nanocheck.report.site import pages

TABLE = made_up_tables.table(made_up_tables.some_settings()[:3], made_up_tables.some_cards()[:2])
LEDGER = ROOT / "reports" / "claims-rtx4070.json"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    path.write_bytes(msgspec.json.encode(TABLE))
    return path


def test_the_folder_has_the_sites_files_and_keeps_others(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "public"
    out.mkdir()
    (out / "CNAME").write_text("cards.example.org")
    assert main(["site", str(out), "--table", str(stored), "--claims", str(LEDGER)]) == 0
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == set(pages.files(TABLE)) | {"CNAME", "claims.html"}
    assert (out / "CNAME").read_text() == "cards.example.org"
    assert msgspec.json.decode((out / "table.json").read_bytes(), type=type(TABLE)) == TABLE


def test_pages_of_an_earlier_table_go_and_nobody_elses(stored: Path, tmp_path: Path) -> None:
    out = tmp_path / "public"
    assert main(["site", str(out), "--table", str(stored), "--claims", str(LEDGER)]) == 0
    (out / "cards" / "mine.html").write_text("<p>a page of somebody's own</p>")
    kept, gone = TABLE.cards
    smaller = made_up_tables.table(TABLE.settings, [kept])
    stored.write_bytes(msgspec.json.encode(smaller))
    assert main(["site", str(out), "--table", str(stored)]) == 0
    assert {path.name for path in (out / "cards").iterdir()} == {f"{kept.gpu}.html", "mine.html"}
    assert f"{gone.gpu}.html" not in {path.name for path in out.rglob("*")}
    assert not (out / "claims.html").exists()


def test_what_is_written_names_no_folder_of_this_machine(tmp_path: Path) -> None:
    cell = replace(TABLE.cells[0], command=f"nanocheck table --gpus {tmp_path}/mine.toml --gpu rtx4070")
    stored = tmp_path / "table.json"
    stored.write_bytes(msgspec.json.encode(replace(TABLE, cells=(cell, *TABLE.cells[1:]))))
    assert main(["site", str(tmp_path / "out"), "--table", str(stored)]) == 0
    for path in (tmp_path / "out").rglob("*.*"):
        assert str(tmp_path) not in path.read_text()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 4),
        (json.dumps({"schema": 99}), 4),
        (json.dumps({"schema": 1, "cells": "none"}), 4),
        (msgspec.json.encode(replace(TABLE, cells=(*TABLE.cells, TABLE.cells[0]))).decode(), 4),
    ],
    ids=["no JSON", "another schema", "no table", "a cell twice"],
)
def test_a_damaged_table_is_refused_and_nothing_is_written(
    tmp_path: Path, text: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = tmp_path / "table.json"
    stored.write_text(text)
    assert main(["site", str(tmp_path / "out"), "--table", str(stored)]) == code
    assert "hint: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_ledger_that_is_none_is_a_wrong_request(
    stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = ROOT / "reports" / "rtx4070.json"
    assert main(["site", str(tmp_path / "out"), "--table", str(stored), "--claims", str(other)]) == 2
    assert "claims ledger" in capsys.readouterr().err
