"""A run as a terminal shows it: every figure whole at every width, and nothing that a script wrote obeyed."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import oom_result, peaks, result
from terminals import DECIDING, uncoloured

from nanocheck.core.result import Fragmentation, Group, Holding, Moment, OutOfMemory, RunResult
from nanocheck.core.units import MIB, mib
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import console, terminal
from nanocheck.report.console import as_text

BYTES = st.integers(0, 200_000 * MIB)
GROUPS = ("parameters", "gradients", "backward temporaries", "buffers and inputs", "unnamed")
LINES = (
    None,
    "",
    "loss.backward()",
    "logits = self.lm_head(x[:, [-1], :]) # note: using list [-1] to preserve the time dim",
    "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)",
)


@st.composite
def holdings(draw: st.DrawFn) -> Holding:
    return Holding(
        bytes=draw(BYTES),
        count=draw(st.integers(1, 9999)),
        group=draw(st.sampled_from(GROUPS)),
        where=draw(st.sampled_from([None, "train.py:12", "/home/somebody/nanogpt/model.py:187"])),
        line=draw(st.sampled_from(LINES)),
        shape=draw(st.none() | st.lists(st.integers(0, 100_000), max_size=5).map(tuple)),
    )


@st.composite
def results(draw: st.DrawFn) -> RunResult:
    fields: dict[str, Any] = {
        "peaks": peaks(draw(BYTES), draw(BYTES)),
        "process_bytes": draw(BYTES),
        "at": Moment(phase="backward", step=1, where="train.py:316", line=draw(st.sampled_from(LINES))),
        "groups": tuple(
            Group(group=name, bytes=draw(BYTES), count=draw(st.integers(0, 99_999)))
            for name in GROUPS[: draw(st.integers(0, len(GROUPS)))]
        ),
        "largest": tuple(draw(st.lists(holdings(), max_size=12))),
        "fragmentation": Fragmentation(reserved_bytes=draw(BYTES), allocated_bytes=0),
    }
    if not draw(st.booleans()):
        return result(**fields)
    found = oom_result(**fields)
    oom = msgspec.structs.replace(
        found.oom, alive=tuple(draw(st.lists(holdings(), max_size=12))), free_bytes=draw(BYTES)
    )
    main = msgspec.structs.replace(found.main, oom=oom)
    return msgspec.structs.replace(found, processes=(main,))


def figures(run: RunResult) -> list[str]:
    """What must be found whole: sizes, counts and shapes."""
    main, oom = run.main, run.oom
    shown = [*main.largest[:10]] if oom is None else [*oom.alive[:10]]
    sizes = [main.allocated_bytes, main.reserved_bytes, main.process_bytes, main.fragmentation.reserved_bytes]
    sizes += [each.bytes for each in (*main.groups, *shown)]
    sizes += [size for pair in main.phase_peaks().values() for size in pair]
    sizes += [] if oom is None else [oom.requested_bytes, oom.free_bytes]
    counts = [f"{each.count:,}" for each in main.groups]
    counts += [str(each.count) for each in shown if each.count > 1]
    return [*map(mib, sizes), *counts, *(terminal.shape(each.shape) for each in shown if each.shape)]


@given(results(), st.integers(20, 220))
def test_every_figure_is_whole_at_every_width(run: RunResult, width: int) -> None:
    text = as_text(terminal.render(JudgedRun.of(run)), width)
    tokens = {token.strip("(),;:") for token in text.split()}
    assert [figure for figure in figures(run) if figure not in tokens] == []


@given(results(), st.sampled_from([80, 100, 140]))
def test_no_line_is_wider_than_usual_terminals(run: RunResult, width: int) -> None:
    lines = as_text(terminal.render(JudgedRun.of(run)), width).splitlines()
    assert max(map(len, lines)) <= width
    assert [line for line in lines if line != line.rstrip()] == []


@given(results())
def test_a_pipe_gets_a_line_for_each_row(run: RunResult) -> None:
    shown = (run.main.largest if run.oom is None else run.oom.alive)[:10]
    lines = as_text(terminal.render(JudgedRun.of(run)), 1000).splitlines()
    for each in shown:
        wanted = [mib(each.bytes), each.group, terminal.place(each.where), (each.line or "").strip()]
        assert any(all(part in line for part in wanted) for line in lines)


HOSTILE = "x = '[red]' + ':smile:' # \x1b[2J\u202e\u2066 \x9b31m\r\n\x07"
HARMLESS = "x = '[red]' + ':smile:' # \ufffd[2J\ufffd\ufffd \ufffd31m"


@pytest.mark.parametrize("force_color", ["", "1"])
def test_source_lines_are_shown_as_they_are_and_do_nothing(
    force_color: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Holding(bytes=1, count=1, group="activations", where=f"/a/{HOSTILE}.py:1", line=HOSTILE)
    oom = OutOfMemory(
        phase="forward", step=0, requested_bytes=1, exact=True, where="a.py:1", line=HOSTILE, alive=(held,)
    )
    found = oom_result(
        oom=oom,
        at=Moment(phase="forward", step=0, where="a.py:1", line=HOSTILE),
        notes=(HOSTILE,),
        command=(HOSTILE,),
    )
    for name in DECIDING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", force_color)
    console.say(terminal.render(JudgedRun.of(found)))
    said = capsys.readouterr().err
    assert said.startswith("nanocheck: \x1b[1;31mOOM\x1b[0m: " if force_color else "nanocheck: OOM: ")
    plain = uncoloured(said)
    assert re.sub("[\n ]", "", plain).isprintable()
    assert plain.count(HARMLESS.split(" #")[0]) == 6


def test_other_processes_and_card_are_named() -> None:
    run = result(provenance="measured")
    second = msgspec.structs.replace(run.main, pid=7, command=("python", "other.py"))
    text = as_text(terminal.render(JudgedRun.of(msgspec.structs.replace(run, processes=(run.main, second)))))
    assert "process 7: python other.py" in text
    assert "\n\nmeasured on NVIDIA GeForce RTX 4070, linux; sizes in MiB\n\n" in text
