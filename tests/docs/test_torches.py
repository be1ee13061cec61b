"""The table of installations in docs/any-script.md is what is stored, and each of its rows is sound."""

from __future__ import annotations

from types import ModuleType

import pandas
import pytest
from documents import DOCS, script
from paths import ROOT

from nanocheck.cli import doctor_python


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return script(ROOT / "benchmarks" / "torches.py")


def test_the_page_shows_what_is_kept(benchmark: ModuleType) -> None:
    page = (DOCS / "any-script.md").read_text()
    shown = page.split("<!-- torches -->")[1].split("<!-- end of torches -->")[0].strip()
    assert shown == benchmark.table()


def test_every_way_of_every_torch_is_observed_and_adds_up(benchmark: ModuleType) -> None:
    rows = pandas.read_csv(benchmark.ROWS)
    assert [row.torch for row in rows.itertuples() if not benchmark.is_sound(row)] == []
    assert not rows.duplicated(benchmark.KEY).any()
    assert set(rows.groupby("torch")["way"].apply(lambda found: tuple(sorted(found)))) == {
        tuple(sorted(benchmark.WAYS))
    }


def test_from_the_oldest_that_doctor_takes_to_the_newest_that_has_baselines(benchmark: ModuleType) -> None:
    rows = pandas.read_csv(benchmark.ROWS)
    tried = {tuple(int(part) for part in each.split(".")[:2]) for each in rows["torch"]}
    stored = (ROOT / "baselines" / "rtx4070").glob("linux-torch*.json")
    newest = max(tuple(int(p) for p in each.name.split("torch")[1].split(".")[:2]) for each in stored)
    assert (min(tried), max(tried)) == (doctor_python.OLDEST_TORCH, newest)
    without = rows[~rows["has_nanocheck"]]["torch"].str.split("+").str[0]
    assert {"2.4.1", "2.6.0", "2.8.0"} <= set(without)
