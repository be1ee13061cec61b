"""Processes die at any moment and journals end anywhere: what is there still gives an answer."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_up import DEVICE
from observing import observe

from nanocheck.attribution.command_result import command_result
from nanocheck.attribution.event_reader import read
from nanocheck.attribution.replay import Replay
from nanocheck.core.result import Ending, How, RunResult
from nanocheck.core.verdict import classify

SCRIPT = """
    import torch
    model = torch.nn.Sequential(torch.nn.Linear(512, 512), torch.nn.ReLU(), torch.nn.Linear(512, 64)).cuda()
    optimizer = torch.optim.AdamW(model.parameters())
    for _ in range(9):
        model(torch.randn(4096, 512, device="cuda")).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.empty(1 << 40, device="cuda")
"""


class Journal:
    """The script's journal; no bytes, since Hypothesis would print all of them."""

    def __init__(self, folder: Path) -> None:
        (path,) = observe(SCRIPT, folder, steps=0).folder.glob("*.jsonl")
        self.text = path.read_bytes()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Journal:
    return Journal(tmp_path_factory.mktemp("script"))


def answered(text: bytes, how: How = How.KILLED) -> RunResult:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "1-a.jsonl").write_bytes(text)
        ending = Ending(how=how, exit_code=137)
        seen = read(Path(folder))
        return command_result(Path(folder), seen, command=["x"], device=DEVICE, ending=ending, seconds=1.0)


def sums(found: RunResult) -> None:
    for process in found.processes:
        assert sum(row.bytes for row in process.groups) == process.allocated_bytes


def test_the_whole_journal(journal: Journal) -> None:
    found = answered(journal.text, How.FAILED)
    assert classify(found).kind == "oom"
    sums(found)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_journal_that_ends_anywhere(journal: Journal, data: st.DataObject) -> None:
    """Where the events go on after the last piece, PyTorch's own later figures become a row of their own."""
    sums(answered(journal.text[: data.draw(st.integers(0, len(journal.text)))]))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_lines_that_are_lost(journal: Journal, data: st.DataObject) -> None:
    lines = journal.text.splitlines(keepends=True)
    lost = data.draw(st.sets(st.integers(0, len(lines) - 1), max_size=5))
    sums(answered(b"".join(line for index, line in enumerate(lines) if index not in lost)))


@given(
    st.lists(
        st.tuples(
            st.sampled_from("arfSFMUo"),
            st.integers(0, 20).map(lambda page: page << 20),
            st.integers(1, 5 << 20),
            st.just(-1),
        ),
        max_size=60,
    )
)
def test_events_that_make_no_sense(events: list[tuple[str, int, int, int]]) -> None:
    replay = Replay().feed(events)
    assert len(replay.levels) == len(events)
