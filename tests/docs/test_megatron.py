"""Megatron-LM's peaks in docs/accuracy.md are those that are kept, and as near as the page says."""

from __future__ import annotations

from types import ModuleType

import pytest
from documents import DOCS, script
from paths import ROOT


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return script(ROOT / "benchmarks" / "ranks" / "megatron.py")


def test_the_page_shows_what_is_kept(benchmark: ModuleType) -> None:
    page = (DOCS / "accuracy.md").read_text()
    shown = page.split("<!-- megatron -->")[1].split("<!-- end of megatron -->")[0].strip()
    assert shown == benchmark.table(benchmark.found())


def test_each_is_within_what_their_own_platforms_differ_by(benchmark: ModuleType) -> None:
    rows = benchmark.found()
    assert {row["case"] for row in rows} == set(benchmark.cases())
    for row in rows:
        for stored in benchmark.cases()[row["case"]]["stored"].values():
            for figure in ("first", "peak"):
                assert int(row[figure]) == pytest.approx(stored[figure], rel=2e-3), row["case"]


def test_the_nearest_platform_of_each_is_a_kilobyte_away(benchmark: ModuleType) -> None:
    for row in benchmark.found():
        stored = benchmark.cases()[row["case"]]["stored"].values()
        assert min(abs(int(row["peak"]) - each["peak"]) for each in stored) == 1024
