"""*Safe* after a few steps is never wrong: on no card where it is said does the whole program need more."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import msgspec
import pytest
import torch
from hypothesis import example, given, note
from observing import observe

from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, Kind, classify
from properties.configurations import explored
from properties.programs import STEPS, Program, programs

#: Large enough for every program drawn; the card that decides is cut off it.
GPU = "a100-80gb"
_tried: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def told() -> Iterator[None]:
    yield
    print("\nprograms, by the verdict of their short run:", dict(_tried))


def true_sizes(text: str) -> list[int]:
    """Of a program with true values, on the CPU."""
    printed, threads = io.StringIO(), torch.get_num_threads()
    with mock.patch.object(sys, "argv", ["program", "cpu"]), contextlib.redirect_stdout(printed):
        exec(compile(text, "program", "exec"), {"__name__": "__main__"})
    torch.set_num_threads(threads)
    return json.loads(printed.getvalue().splitlines()[-1])


def result_of(text: str, *arguments: str, steps: int, reserve_bytes: int = 0) -> RunResult:
    with tempfile.TemporaryDirectory() as folder:
        seen = observe(text, Path(folder), *arguments, gpu=GPU, steps=steps, reserve_bytes=reserve_bytes)
        result = seen.result()
        assert (seen.ending.exit_code == 0) == (result.outcome is Outcome.COMPLETED), seen.stderr
        assert result.outcome in (Outcome.COMPLETED, Outcome.OOM), seen.stderr
        return result


def on_the_smallest_safe_card(result: RunResult) -> RunResult:
    """The same run where so much is used by others that one byte more would leave less than the margin."""
    headroom = classify(result).headroom_bytes
    assert headroom is not None
    used = headroom - DEFAULT_MARGIN_BYTES
    return msgspec.structs.replace(result, device=msgspec.structs.replace(result.device, reserve_bytes=used))


#: Needs four times as much in its last steps; and one whose experts hang on what nobody knows.
GROWS = Program(
    rows=8,
    width=64,
    vocabulary=32_000,
    labelled=90,
    experts=0,
    length="128 * 2 ** (i // 25)",
    late="if i >= 45:\n    train(512)",
    loop="range",
    seed=1,
)
ROUTES = Program(
    rows=8,
    width=256,
    vocabulary=32_000,
    labelled=40,
    experts=4,
    length="192",
    late="pass",
    loop="while",
    seed=2,
)


@explored(short=1, long=150)
@given(program=programs())
@example(program=GROWS)
@example(program=ROUTES)
def test_a_card_that_is_safe_after_a_few_steps_has_room_for_all_of_them(program: Program) -> None:
    note(program.text)
    sizes = json.dumps(true_sizes(program.text))
    short = result_of(program.text, "plain", steps=3)
    if short.outcome is not Outcome.COMPLETED:
        _tried[short.outcome.value] += 1
        return
    short = on_the_smallest_safe_card(short)
    verdict = classify(short)
    _tried[verdict.kind.value] += 1
    assert verdict.kind in (Kind.SAFE, Kind.PARTIAL)  # at the margin, and not a byte less
    reserve = short.device.reserve_bytes
    whole = result_of(program.text, "given", sizes, steps=0, reserve_bytes=reserve)
    needs_more = whole.outcome is Outcome.OOM
    if not needs_more:
        assert whole.main.coverage is not None
        assert whole.main.coverage.optimizer_steps == STEPS
    _tried["the whole program runs out of memory there"] += needs_more
    if verdict.kind is Kind.SAFE:
        assert not needs_more, f"{verdict}; the whole program: {classify(whole)}"
