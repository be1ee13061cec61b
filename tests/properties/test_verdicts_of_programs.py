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
from hypothesis import given, note
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


def result_of(text: str, *arguments: str, steps: int) -> RunResult:
    with tempfile.TemporaryDirectory() as folder:
        seen = observe(text, Path(folder), *arguments, gpu=GPU, steps=steps)
        assert seen.ending.exit_code == 0, seen.stderr
        return seen.result()


def on_the_smallest_safe_card(result: RunResult) -> RunResult:
    """The same run where so much is used by others that one byte more would leave less than the margin."""
    headroom = classify(result).headroom_bytes
    assert headroom is not None
    used = headroom - DEFAULT_MARGIN_BYTES
    return msgspec.structs.replace(result, device=msgspec.structs.replace(result.device, reserve_bytes=used))


@explored(short=2, long=150)
@given(program=programs())
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
    whole = result_of(program.text, "given", sizes, steps=0)
    assert whole.outcome is Outcome.COMPLETED
    assert whole.main.coverage is not None
    assert whole.main.coverage.optimizer_steps == STEPS
    needs_more = whole.main.allocated_bytes > short.device.available_bytes
    _tried["of these, too little"] += needs_more
    if verdict.kind is Kind.SAFE:
        assert not needs_more, f"{verdict}; the whole program holds {whole.main.allocated_bytes} bytes"
