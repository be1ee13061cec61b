"""Tables that repeat what stands elsewhere: a number that moves there must move here."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import replace

import pytest
from documents import DOCS, README
from mutating import mutants
from paths import ROOT

from nanocheck.numerics.language.approach import Approach, plans
from nanocheck.numerics.training.runs import Runs

#: Of the source itself on the 65,536 fresh tokens of every row.
SOURCE_LOSS = 1.2793


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


LANGUAGE_ROWS = {"AdamW, fused": "gpt2-128-l1-h1", "nanochat-2025": "nanochat-2025-d1"}


@pytest.mark.parametrize("row", LANGUAGE_ROWS)
def test_how_near_an_optimizer_comes_to_the_floor_is_as_the_page_says(row: str) -> None:
    """Two rows, trained again; other processors round differently, which 80 steps carry on."""
    page = (DOCS / "still-trains.md").read_text()
    (line,) = [each for each in page.splitlines() if each.startswith("| ") and row in each and "0." in each]
    steps, loss, above = (float(each) for each in line.split(" | ")[1:4])
    plan = next(each for each in plans() if each.config.id.startswith(LANGUAGE_ROWS[row]))
    assert plan.steps == steps
    plan = replace(plan, held_out=512)
    with Runs("cpu") as runs:
        runs.start([plan])
        found = Approach.of(plan, runs.trace(plan))
    assert found.distance == pytest.approx(above, abs=0.003)
    assert loss - above == pytest.approx(SOURCE_LOSS, abs=1e-4)
    assert f"floor {found.floor:.4f}; " in page
    assert f"unigram {found.unigram:.3f}, bigram {found.bigram:.3f}, closed" in page


def test_rounding_on_the_page_is_within_the_stored_spreads() -> None:
    page = (DOCS / "still-trains.md").read_text()
    families = json.loads((ROOT / "baselines" / "spreads.json").read_text())["families"]
    for format in ("fp32", "bf16", "fp16"):
        (line,) = [each for each in page.splitlines() if re.match(rf"\| {format}[ a-z]* \| \d", each)]
        for name, text in zip(("loss", "grad_norm", "parameters"), line.split(" | ")[1:], strict=True):
            spread = families[f"{format}-32"]["spread"][name]
            for figure in re.findall(r"[\d.]+e-\d+", text):
                assert spread / 20 <= float(figure) <= 4 * spread, (format, name)
