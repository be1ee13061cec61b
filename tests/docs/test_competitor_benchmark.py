"""The comparison with xMem's own benchmark: pages say what is stored, every row has a source."""

from __future__ import annotations

import csv
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import xmem_data
import xmem_tables
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT
from xmem_data import Answer, Prediction, Result, Row

ROWS = xmem_data.rows()
SIZES = st.integers(1_000, 12_000)
LISTED = list(csv.DictReader(line for line in xmem_data.LISTING.open() if not line.startswith("#")))


def test_the_pages_show_what_the_stored_result_gives() -> None:
    for page, text in xmem_tables.pages(ROWS, xmem_data.load()).items():
        assert page.read_text() == text, f"{page.name}: python benchmarks/xmem.py --pages"


def test_the_stored_result_is_virtual_and_answers_every_row() -> None:
    stored = xmem_data.load()
    assert stored.provenance == "virtual"
    assert list(stored.rows) == [row.name for row in ROWS]


def test_the_rows_are_those_of_the_listing_and_the_draw_can_be_drawn_again() -> None:
    assert [row.name for row in ROWS] == [line["name"] for line in LISTED if line["taken"] != "-"]
    assert {row.name for row in ROWS if row.taken == "drawn"} == xmem_data.draw()
    assert {line["taken"] for line in LISTED if line["set"] == "M1"} == {"given", "all"}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_row_is_what_its_source_is_called(row: Row) -> None:
    """Its source's name holds model, optimizer and batch; what fits cannot need more than the card."""
    model, optimizer, batch = row.name.split("_")[:3]
    assert (model, optimizer, int(batch)) == (row.model.replace("/", "-"), row.optimizer, row.batch)
    assert 1_000 < row.measured_mib < 12_037
    assert "llmem" in row.tools or row.model.lower().startswith("t5")
    card = 12_622_168_064 / (1 << 20)
    for said in row.tools.values():
        assert said.oom or said.mib <= card


def test_every_model_has_a_source_and_is_built_as_it_says() -> None:
    models = tomllib.loads((xmem_data.DATA / "xmem_models.toml").read_text())
    assert {row.model for row in ROWS} == set(models)
    assert all(each["source"] for each in models.values())


def test_the_card_is_the_catalogs_but_for_its_memory() -> None:
    cards = tomllib.loads((ROOT / "nanocheck" / "core" / "cards" / "geforce-30.toml").read_text())["gpu"]
    (card,) = tomllib.loads(xmem_data.CARD.read_text())["gpu"].values()
    differing = {key for key in card if card[key] != cards["rtx3060"].get(key)} - {"sources"}
    assert differing == {"linux_usable_mib"}
    stated = re.search(r"(\d+) bytes", card["sources"]["linux_usable_mib"])
    assert stated is not None
    assert card["linux_usable_mib"] * (1 << 20) == int(stated[1])


def made_up(measured: int, oom: bool, said: Prediction | None) -> tuple[Row, Result]:
    row = replace(ROWS[0], name="made up", measured_mib=measured, measured_oom=oom, tools={})
    answer = Answer("crashed", None, None, None)
    if said is not None:
        answer = Answer("oom" if said.oom else "tight", said.mib, 0.0, 0)
    return row, Result("virtual", "2.8.0", "4.51.3", "made-up", 12_037.0, {"made up": answer}, {})


@given(SIZES, st.booleans(), st.none() | st.tuples(SIZES, st.booleans()))
def test_a_wrong_verdict_counts_and_a_broken_row_is_no_answer(
    measured: int, oom: bool, said: tuple[int, bool] | None
) -> None:
    row, result = made_up(measured, oom, Prediction(*said) if said else None)
    lines = xmem_tables.summary([row], result).splitlines()
    (line,) = [each for each in lines if each.startswith("| nanocheck")]
    _, median, _, _, rows, wrong, missed = [cell.strip() for cell in line.strip("|").split("|")]
    answered = said is not None
    assert rows == str(int(answered and not oom))  # what the card could not hold has no peak to compare with
    assert wrong == f"{int(answered and said[1] != oom)} of {int(answered)}"
    assert missed == str(int(answered and oom and not said[1]))
    if said is not None and not oom:
        assert median == f"{abs(said[0] - measured) / measured * 100:.2f} %"
    else:
        assert median == "-"
    cells = xmem_tables.whole([row], result).splitlines()[2]
    assert ("crashed" in cells) == (not answered)
    assert ("**" in cells) == (answered and said[1] != oom)


def test_a_page_without_a_place_for_a_table_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- xmem summary -->\n\nold\n\n<!-- xmem end -->\nrest\n")
    row, result = made_up(2_000, False, Prediction(2_010, False))
    monkeypatch.setattr(xmem_tables, "PAGES", {page: ("summary",)})
    (text,) = xmem_tables.pages([row], result).values()
    assert "| nanocheck | 0.50 %" in re.sub(" +", " ", text)
    assert text.endswith("<!-- xmem end -->\nrest\n")
    assert "old" not in text
    monkeypatch.setattr(xmem_tables, "PAGES", {page: ("rows",)})
    with pytest.raises(ValueError, match=r"page\.md"):
        xmem_tables.pages([row], result)
