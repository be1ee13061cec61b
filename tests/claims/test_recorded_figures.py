"""Claims about programs that no configuration stands for are judged by what is stored of their runs."""

from __future__ import annotations

import copy
from types import ModuleType

import pytest
from notes import module

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu

HOME = Target(kind="virtual", gpu=find_gpu("h100"))


@pytest.fixture
def note() -> ModuleType:
    return module("test_nanochat_443")


def test_both_sides_of_the_issue_hold_by_the_stored_runs(note: ModuleType) -> None:
    for claim in (note.reporter, note.author):
        finding = claim.evaluate({}, find_gpu, HOME)
        assert finding.as_expected
        stored = [each for each in finding.figures if "nanochat_ranks.toml" in each.how]
        assert stored
        assert {each.provenance for each in stored} == {"virtual"}


@pytest.mark.parametrize(
    ("claim", "row", "key", "value"),
    [
        ("reporter", "issue443-reporter", "oom_free_bytes", 9 * 2**30),
        ("reporter", "issue443-reporter", "oom_free_bytes", 6 * 2**30),
        ("reporter", "issue443-reporter", "oom_requested_bytes", 4 * 2**30),
        ("author", "issue443-author", "process_mib", 80_500.0),
    ],
)
def test_another_run_refutes_them(note: ModuleType, claim: str, row: str, key: str, value: float) -> None:
    note.ROWS = copy.deepcopy(note.ROWS)
    note.ROWS[row]["here"][key] = value
    assert getattr(note, claim).evaluate({}, find_gpu, HOME).verdict == "refuted"
