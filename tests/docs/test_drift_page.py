"""What docs/drift.md shows is what the stored survey found, and the survey found what was known before."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest
from documents import DOCS

from nanocheck.core.diff_side import ROUNDING
from nanocheck.core.drift import Cell, Drift, Move, Row, neighbours
from nanocheck.core.torch_versions import public
from nanocheck.core.units import MIB
from nanocheck.report import drift_text, drift_words
from nanocheck.report.console import as_text
from nanocheck.report.markdown_cells import frame_of, table

PAGE = (DOCS / "drift.md").read_text()
STORED = msgspec.json.decode((DOCS / "drift.json").read_bytes(), type=Drift)
FP32 = "gpt2-768-b8-a2-fp32-eager"


def row(gpu: str, name: str = FP32) -> Row:
    return next(each for each in STORED.rows if (each.gpu, each.name) == (gpu, name))


def cell(gpu: str, version: str) -> Cell:
    return next(each for each in row(gpu).cells if public(each.torch) == version)


def move(gpu: str, after: str) -> Move:
    return next(each for each in row(gpu).moves if public(each.after) == after)


def workspaces(gpu: str, version: str) -> int:
    return sum(each.bytes for each in cell(gpu, version).groups if each.group == "workspaces")


def test_the_stored_survey_is_of_its_schema() -> None:
    schema = json.loads((DOCS / "drift.schema.json").read_text())
    jsonschema.validate(json.loads((DOCS / "drift.json").read_text()), schema)
    assert len(STORED.releases) == 7
    assert f"{sum(len(each.cells) for each in STORED.rows)} runs" in PAGE
    assert not STORED.unanswered


@pytest.mark.parametrize("what", ["allocated", "reserved"])
def test_the_page_shows_the_tables_as_they_are(what: str) -> None:
    rows = drift_words.figures(STORED, what)
    columns = list(rows[0])
    shown = table(frame_of(rows, columns), right=columns[1:])
    assert f"<!-- table: {what} -->\n\n{shown}\n" in PAGE


def test_the_explained_move_is_what_the_command_says() -> None:
    moves = tuple(each for each in row("rtx4090").moves if public(each.before) == "2.12.1")
    one = msgspec.structs.replace(STORED, rows=(msgspec.structs.replace(row("rtx4090"), moves=moves),))
    assert f"```\n{as_text(drift_text.render(one)[3:4], 100)}\n```" in PAGE


def test_moves_are_those_of_the_cells() -> None:
    for each in STORED.rows:
        pairs = [(old.torch, new.torch) for old, new in neighbours(each.cells)]
        assert [(found.before, found.after) for found in each.moves] == pairs


def test_what_explains_a_move_adds_up_to_it() -> None:
    for each in STORED.rows:
        for found in each.moves:
            more = sum(change.after_bytes - change.before_bytes for change in found.changes)
            assert more + found.unexplained_bytes == found.allocated_bytes
            assert found.unexplained_bytes == 0
            if found.segments and not found.notes:
                segments = (
                    (change.after_count - change.before_count) * change.segment_bytes
                    for change in found.segments
                )
                assert sum(segments) == found.reserved_bytes


def test_torch_2_12_1_reserves_what_its_neighbours_do_not() -> None:
    """pytorch#183489, first seen on an emulation of CUDA that was written independently of this one."""
    reserved = {public(each.torch): each.reserved_bytes // MIB for each in row("rtx4090").cells}
    assert reserved.pop("2.12.1") == 14_648
    assert set(reserved.values()) == {13_076}
    found = move("rtx4090", "2.12.1")
    assert found.decisive is not None
    assert found.decisive.requested_bytes == 8 * 1024 * 50304 * 4 == found.reserved_bytes
    assert (found.decisive.before.made_bytes, found.decisive.after.made_bytes) == (0, found.reserved_bytes)


def test_workspaces_have_32_mib_on_capability_12_from_2_12_on_and_none_stays_in_2_15() -> None:
    assert workspaces("rtx5090", "2.11.0") == workspaces("rtx4090", "2.14.1") == 2 * (8 * MIB + 128 * 1024)
    for version in ("2.12.1", "2.13.0", "2.14.1"):
        assert workspaces("rtx5090", version) == 2 * 32 * MIB
    assert workspaces("rtx4090", "2.15.0") == workspaces("rtx5090", "2.15.0") == 0
    gone = [each for each in move("rtx5090", "2.15.0").changes if each.group != ROUNDING]
    assert {each.group for each in gone} == {"workspaces"}
    assert {(each.match, each.after_count) for each in gone} == {("gone", 0)}
