"""What is worse, what has moved, and what a comparison never says."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import device, environment, oom_result, peaks, result

from nanocheck.core.allocation_change import Allowance
from nanocheck.core.diff_side import Subject, without_folders
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Group, OutOfMemory, RunResult
from nanocheck.core.run_diff import RunDiffs, diff, diff_all, diff_subjects
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun

SIZES = st.integers(0, 12_000 * MIB)


def run(found: RunResult) -> JudgedRun:
    return JudgedRun.of(found)


def sized(allocated: int, reserved: int, provenance: str = "virtual") -> JudgedRun:
    return run(result(peaks=peaks(allocated=allocated, reserved=reserved), provenance=provenance))


@given(SIZES, SIZES, SIZES, SIZES)
def test_virtual_runs_are_worse_by_one_byte(a: int, b: int, c: int, d: int) -> None:
    before, after = sized(a, b), sized(c, d)
    found = diff(before, after)
    order = ["safe", "tight", "oom"]
    verdicts = [order.index(each.verdict.kind.value) for each in (before, after)]
    assert found.worse == (verdicts[1] > verdicts[0] or c > a or d > b)
    assert found.moved == ((a, b) != (c, d))
    assert bool(found.why) == found.worse
    assert found.unexplained_bytes == found.change_bytes == c - a


@given(SIZES, SIZES, st.integers(0, 1 << 33), st.integers(0, 300))
def test_what_is_allowed_is_let_through(a: int, c: int, size: int, percent: int) -> None:
    before, after = sized(a, 1 << 30), sized(c, 1 << 30)
    by_size = diff(before, after, Allowance.of("--fail-above", f"{size}B"))
    assert by_size.worse == (c - a > size)
    by_share = diff(before, after, Allowance.of("--fail-above", f"{percent}%"))
    assert by_share.worse == (c - a > percent / 100 * a)


@pytest.mark.parametrize("text", ["-1%", "x%", "%", "2 %x", "1e9%", "nan%", "inf%", "many"])
def test_no_size_and_no_share_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="--fail-above: expected"):
        Allowance.of("--fail-above", text)


def test_measured_runs_may_differ_by_half_a_percent() -> None:
    before = sized(8000 * MIB, 9000 * MIB, "measured")
    assert not diff(before, sized(8039 * MIB, 9000 * MIB, "measured")).worse
    mixed = diff(sized(8000 * MIB, 9000 * MIB), sized(8041 * MIB, 9000 * MIB, "measured"))
    assert mixed.worse
    assert "provenance: virtual before, measured after" in mixed.notes


def test_what_ran_out_of_memory_has_no_peak_that_grew() -> None:
    """Its figures are what was reached: only the verdict says that it is worse, or better."""
    fits, short = run(result()), run(oom_result(peaks=peaks(allocated=9000 * MIB, steps=1)))
    assert diff(fits, short).why == ("the verdict was safe, and is oom",)
    assert not diff(short, fits).worse
    assert not diff(run(oom_result()), short).worse
    assert diff(run(oom_result()), short).moved


def test_an_out_of_memory_is_compared_by_what_was_wanted_then() -> None:
    line = CodeFrame(where="model.py:3", function="forward", line="y = x.float()")
    held = StackHolding(bytes=100, most_bytes=100, count=1, group="activations", frames=(line,))
    asked = StackHolding(bytes=40, most_bytes=40, count=1, group="the request that failed", frames=(line,))
    oom = OutOfMemory(
        phase="forward",
        step=1,
        requested_bytes=40,
        exact=True,
        groups=(Group(group="activations", bytes=100, count=1),),
        stacks=(held, asked),
    )
    found = diff(run(result(stacks=(held,), allocated_bytes=100)), run(oom_result(oom=oom)))
    assert (found.after.allocated_bytes, found.after.phase, found.after.step) == (140, "forward", 1)
    (change,) = found.changes
    assert (change.where, change.change_bytes, found.unexplained_bytes) == ("model.py:3", 40, 0)


def test_with_room_the_peaks_are_exact_and_the_verdict_stays() -> None:
    short, roomy = run(oom_result()), sized(13_000 * MIB, 14_000 * MIB)
    found = diff_subjects(Subject.of(sized(8000 * MIB, 9000 * MIB)), Subject.of(short, roomy))
    assert (found.after.verdict, found.after.exact, found.after.in_room) == ("oom", True, True)
    assert found.change_bytes == 5000 * MIB
    assert len(found.why) == 4
    assert any("more memory" in each for each in found.notes)


def test_a_side_without_an_answer_is_named() -> None:
    crashed = Subject.of(run(result(outcome="crashed", detail="it fell over", config=None, command=("a",))))
    fits = Subject.of(run(result()))
    found = diff_all({"a": crashed, "b": fits}, {"a": fits, "b": fits, "c": fits}, ("base", "head"))
    assert (found.no_answer, found.only_after, found.worse, found.moved) == (("a",), ("c",), False, True)
    assert msgspec.json.decode(msgspec.json.encode(found), type=RunDiffs) == found


def test_no_folder_of_a_machine_is_in_a_comparison() -> None:
    secret = "/home/somebody/secret"
    frames = (CodeFrame(where=f"{secret}/model.py:3", function="f", line="y = x"),)
    held = StackHolding(bytes=5, most_bytes=5, count=1, group="activations", frames=frames)
    grown = msgspec.structs.replace(held, bytes=9)
    place = f"{secret}/model.py:3"
    oom = OutOfMemory(phase="forward", step=0, requested_bytes=4, exact=True, where=place, stacks=(grown,))
    sides = [
        run(
            result(
                config=None, command=(f"{secret}/bin/python", f"--data={secret}/x", "t.py"), stacks=(held,)
            )
        ),
        run(oom_result(oom=oom, detail=f"in {secret}/a.py")),
    ]
    found = diff_all(*({"x": Subject.of(each)} for each in sides), (f"{secret}/a.json", f"{secret}/b.json"))
    text = msgspec.json.encode(found).decode()
    assert "somebody" not in text
    assert "secret" not in text
    assert found.before == "a.json"
    assert found.diffs[0].changes[0].where == "model.py:3"


@given(st.text(alphabet="ab/ .=~-'\":", max_size=30))
def test_folders_are_taken_out_once_and_for_all(text: str) -> None:
    once = without_folders(text)
    assert without_folders(once) == once


def test_another_torch_and_another_card_are_told() -> None:
    newer = result(environment=environment(torch="2.15.0"))
    assert "torch: 2.14.1+cu130 before, 2.15.0 after" in diff(run(result()), run(newer)).notes
    assert diff(run(result()), run(result(device=device(gpu="h100")))).gpu == "h100"
