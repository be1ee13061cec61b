"""The T4's LoRA rows in docs/accuracy.md are those that are kept, and they are as near as the page says."""

from __future__ import annotations

from types import ModuleType

import pytest
from documents import DOCS, script
from paths import ROOT


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    return script(ROOT / "benchmarks" / "t4_lora.py")


def test_the_page_shows_what_is_kept(benchmark: ModuleType) -> None:
    page = (DOCS / "accuracy.md").read_text()
    shown = page.split("<!-- t4-lora -->")[1].split("<!-- end of t4-lora -->")[0].strip()
    assert shown == benchmark.table(benchmark.rows())


def test_at_least_twelve_rows_are_within_the_bounds(benchmark: ModuleType) -> None:
    found = [row for row in benchmark.rows() if row["here_allocated_mib"]]
    assert len(found) >= 12
    for row in found:
        allocated, reserved = (float(row[f"{kind}_mib"]) for kind in ("allocated", "reserved"))
        assert float(row["here_allocated_mib"]) == pytest.approx(allocated, rel=2e-3), row["row"]
        assert float(row["here_reserved_mib"]) == pytest.approx(reserved, rel=5e-3), row["row"]
