"""A file to contribute: its schema, what it may not say, and the table that is made of such files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from made_up_verification import CARD, measured, observed, of_rows
from msgspec.structs import replace
from paths import ROOT

from nanocheck.core.errors import StoredDataError
from nanocheck.report import verified_table
from nanocheck.verify.record import VerifyFile, load, save, schema_of_file

GOOD = of_rows((measured(), observed()), (measured(), observed(reserved_bytes=1 << 30)), (None, None))
STAND_IN = of_rows((observed(), observed()), stand_in=True)


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json.loads((ROOT / "docs" / "verify.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_committed_schema_is_that_of_the_types() -> None:
    committed = json.loads((ROOT / "docs" / "verify.schema.json").read_text())
    assert committed == json.loads(json.dumps(schema_of_file())), "types changed: python docs/generate.py"


@pytest.mark.parametrize("file", [GOOD, STAND_IN], ids=["measured", "stand-in"])
def test_what_is_written_is_valid_and_comes_back(file: VerifyFile, validator: Any, tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    save(path, file)
    validator.validate(json.loads(path.read_text()))
    assert load(path) == file


def changed(file: VerifyFile, tmp_path: Path, change: dict[str, Any]) -> Path:
    """A file whose first row says something else."""
    plain = msgspec.to_builtins(file)
    plain["rows"][0].update(change)
    path = tmp_path / "verify.json"
    path.write_text(json.dumps(plain))
    return path


def test_differences_that_do_not_follow_from_the_figures_are_refused(tmp_path: Path) -> None:
    for change in (
        {"differences": msgspec.to_builtins(GOOD.rows[1].differences)},
        {"real": msgspec.to_builtins(measured(allocated_bytes=7))},
    ):
        with pytest.raises(StoredDataError, match=GOOD.rows[0].id):
            load(changed(GOOD, tmp_path, change))


def test_a_stand_in_that_calls_itself_a_real_card_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "verify.json"
    save(path, replace(STAND_IN, stand_in=False))
    with pytest.raises(StoredDataError, match="expected what a real card did"):
        load(path)
    save(path, replace(GOOD, stand_in=True))
    with pytest.raises(StoredDataError, match="expected what a stand-in did"):
        load(path)
    assert not replace(GOOD, stand_in=True).is_measured
    with pytest.raises(StoredDataError, match="measured"):
        load(changed(GOOD, tmp_path, {"virtual": msgspec.to_builtins(measured())}))


def test_a_stand_in_is_labelled_and_does_not_count_as_verified() -> None:
    files = {"a.json": GOOD, "b.json": STAND_IN}
    (row,), (other,) = verified_table.verified(files), verified_table.stand_ins(files)
    assert row[0] == CARD.name
    assert row[2] == "1 of 2, 1 not compared"
    assert row[-1] == "`a.json`"
    assert other[0].startswith("stand-in, no real card")
    assert {name for name, _, _ in verified_table.differing(files)} == {"a.json"}


def test_a_file_in_which_nothing_was_measured_does_not_count() -> None:
    assert verified_table.verified({"c.json": of_rows((None, observed()))}) == []


def test_what_was_contributed_is_sound() -> None:
    """Nobody has yet; whoever does is told here what is wrong with a file."""
    files = verified_table.load_all(ROOT / "baselines" / "verified")
    assert len(verified_table.verified(files)) + len(verified_table.stand_ins(files)) == len(files)
