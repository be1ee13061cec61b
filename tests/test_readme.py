"""The README's answer is the report's: a number that moves there must move here."""

from __future__ import annotations

import subprocess
import sys

import pytest
from mutating import mutants
from paths import ROOT

from nanocheck.report.largest_batch_table import answer_frame
from nanocheck.report.markdown_cells import table
from nanocheck.report.report_file import load

COLUMNS = ["precision", "step", "allocator", "run", "largest safe batch", "tight", "out of memory"]


def answer(model: str) -> str:
    """What README.md shows of one model: bf16 and fp32, accumulating, from a fresh start."""
    frame = answer_frame(load(ROOT / "reports" / "rtx4070.json").rows)
    shown = frame[
        (frame["model"] == model)
        & frame["precision"].isin(["bf16", "fp32"])
        & (frame["accumulation"] == "2 or more")
        & (frame["run"] != "resumed from a checkpoint")
    ]
    return table(shown[COLUMNS])


def models() -> list[str]:
    return sorted(set(answer_frame(load(ROOT / "reports" / "rtx4070.json").rows)["model"]))


@pytest.mark.parametrize("model", models())
def test_the_readme_shows_the_reports_answer(model: str) -> None:
    readme = (ROOT / "README.md").read_text()
    rows = load(ROOT / "reports" / "rtx4070.json").rows
    (version,) = {str(row.result.environment.torch).split("+")[0] for row in rows}
    if f"torch {version}, provenance" not in readme:
        pytest.skip(
            f"the report was made anew with torch {version}; the README states another version's: set the "
            f"report's tables and `torch {version}, provenance` into README.md"
        )
    assert model in readme
    assert answer(model) in readme


def test_the_readme_lists_every_mutant_with_a_test_that_catches_it() -> None:
    readme = (ROOT / "README.md").read_text()
    for mutant in mutants():
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| {mutant.name} |")]
        caught_by = [each.replace("gpt2-64-l2-h4-t32-v1024-b4-", "") for each in mutant.caught_by]
        assert any(f"| `{each}` |" in row for each in caught_by), row


def test_every_command_of_the_readme_exists() -> None:
    """Verbs and options that README.md names are there."""
    readme = (ROOT / "README.md").read_text()
    pytest_help = subprocess.run(
        [sys.executable, "-m", "pytest", "--help", str(ROOT)], capture_output=True, text=True, check=True
    ).stdout
    own_help = subprocess.run(
        [sys.executable, "-m", "nanocheck", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = {word for line in readme.splitlines() if line.startswith("pytest ") for word in line.split()}
    for option in sorted(word for word in options if word.startswith("--")):
        assert option in pytest_help
    verbs = {line.split()[1] for line in readme.splitlines() if line.startswith("nanocheck ")}
    assert verbs
    for verb in verbs:
        assert f"    {verb} " in own_help or f"{verb}" in own_help.split()
