"""The rows of nanochat on eight H100 stand on the page as they were stored, and a row is stored whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from documents import DOCS, script
from paths import ROOT

from nanocheck.core.gpus import find_gpu

nanochat_ranks = script(ROOT / "benchmarks" / "ranks" / "nanochat" / "run.py")
ROWS = nanochat_ranks.rows()
RAN = {name: row["here"] for name, row in ROWS.items() if "here" in row}


@pytest.mark.parametrize("name", [name for name in RAN if ROWS[name]["published"].endswith(" allocated")])
def test_the_page_shows_what_was_stored_and_published(name: str) -> None:
    page = (DOCS / "accuracy.md").read_text()
    [lines] = [[line for line in page.splitlines() if f"{RAN[name]['allocated_mib']:,.2f}" in line]]
    assert any(ROWS[name]["published"].removesuffix(" allocated") in line for line in lines)


def test_d20_is_the_published_peak_to_its_last_digit_and_so_is_d8_where_the_watchdog_is_late() -> None:
    for name in ("d20-october", "d8-october-behind"):
        assert f"{RAN[name]['allocated_mib']:,.2f} allocated" == ROWS[name]["published"]
    # One step's gradients, flattened copies and slices.
    more = RAN["d8-october-behind"]["allocated_mib"] - RAN["d8-october"]["allocated_mib"]
    assert more == pytest.approx(288 + 192 + 24)


def test_where_it_runs_out_the_card_is_what_the_process_and_nccl_hold_and_what_is_free() -> None:
    [found] = [found for found in RAN.values() if found["outcome"] == "oom"]
    held = found["process_mib"] + found["nccl_least_mib"] + found["oom_free_bytes"] / 2**20
    assert held * 2**20 == find_gpu("h100").usable_most_bytes["linux"]


def test_a_row_that_is_stored_replaces_its_own_figures_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "rows.toml"
    copy.write_text(nanochat_ranks.FIGURES.read_text())
    monkeypatch.setattr(nanochat_ranks, "FIGURES", copy)
    found = {"torch": "9", "allocated_mib": 1.5}
    for _ in range(2):
        nanochat_ranks.store("d8-october", found)
    assert nanochat_ranks.rows() == {**ROWS, "d8-october": {**ROWS["d8-october"], "here": found}}
