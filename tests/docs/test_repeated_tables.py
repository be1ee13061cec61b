"""Tables that repeat what stands elsewhere: a number that moves there must move here."""

from __future__ import annotations

import re
import tomllib

import pytest
from documents import DOCS, README
from mutating import mutants
from paths import ROOT

from nanocheck.report.largest_batch_table import answer_frame
from nanocheck.report.markdown_cells import table
from nanocheck.report.report_file import load

COLUMNS = ["precision", "step", "allocator", "run", "largest safe batch", "tight", "out of memory"]
REPORT = ROOT / "reports" / "rtx4070.json"
SETTINGS = DOCS / "settings.md"


def answer(model: str) -> str:
    """What settings.md shows of one model: bf16 and fp32, accumulating, from a fresh start."""
    frame = answer_frame(load(REPORT).rows)
    shown = frame[
        (frame["model"] == model)
        & frame["precision"].isin(["bf16", "fp32"])
        & (frame["accumulation"] == "2 or more")
        & (frame["run"] != "resumed from a checkpoint")
    ]
    return table(shown[COLUMNS])


def models() -> list[str]:
    return sorted(set(answer_frame(load(REPORT).rows)["model"]))


@pytest.mark.parametrize("model", models())
def test_the_largest_batches_are_the_reports(model: str) -> None:
    page = SETTINGS.read_text()
    (version,) = {str(row.result.environment.torch).split("+")[0] for row in load(REPORT).rows}
    if f"torch {version}, provenance" not in page:
        pytest.skip(
            f"the report was made anew with torch {version}; docs/settings.md states another version's: set "
            f"the report's tables and `torch {version}, provenance` into it"
        )
    assert model in page
    assert answer(model) in page


def test_every_mutant_is_listed_with_a_test_that_catches_it() -> None:
    page = (DOCS / "still-trains.md").read_text()
    for mutant in mutants():
        (row,) = [line for line in page.splitlines() if line.startswith(f"| {mutant.name} |")]
        caught_by = [each.replace("gpt2-64-l2-h4-t32-v1024-b4-", "") for each in mutant.caught_by]
        assert any(f"| `{each}` |" in row for each in caught_by), row


def test_the_readmes_comparisons_with_real_cards_are_the_pages() -> None:
    page = (DOCS / "accuracy.md").read_text()
    rows = [line for line in README.read_text().splitlines() if line.startswith("| **real ")]
    assert len(rows) >= 3
    for row in rows:
        assert row in page


def test_the_rooms_are_those_of_the_contract() -> None:
    """The page of the code draws the layers that import-linter holds, and says what each room holds."""
    page = (DOCS / "architecture.md").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [each["layers"] for each in contracts if each["type"] == "layers"]
    assert "```\n" + "\n".join(layers) + "\n```" in page
    rooms = {path.parent.name for path in (ROOT / "nanocheck").glob("*/__init__.py")}
    described = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page, re.MULTILINE)
    assert {room for room, _ in described} == rooms
    for room, files in described:
        for file in re.findall(r"`([^`]+)`", files):
            under = "virtual/csrc/README.md" if file == "csrc/README.md" else f"{room}/{file}"
            assert (ROOT / "nanocheck" / under).exists(), f"{room}: {file}"
