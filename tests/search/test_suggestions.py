"""The search for what fits: which argument is the batch, which runs are made, what they say."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import device, peaks, result

from nanocheck.core.errors import RequestError
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun, Kind, Verdict
from nanocheck.report.console import as_text
from nanocheck.report.further_runs_text import suggestions_blocks
from nanocheck.search.batch_argument import find_batch
from nanocheck.search.candidates import MOST, Candidate, conclusions, to_suggestions
from nanocheck.search.suggest import is_expandable, search, with_expandable

CAPACITY, CONTEXT = 1000 * MIB, 100 * MIB


def answer(kind: str, reserved_mib: int = 0) -> JudgedRun:
    """A run that took so much."""
    headroom = CAPACITY - CONTEXT - reserved_mib * MIB
    size = reserved_mib * MIB
    ran = result(
        device=device(capacity_bytes=CAPACITY, context_bytes=CONTEXT),
        outcome={"oom": "oom", "crashed": "crashed"}.get(kind, "completed"),
        peaks=peaks(size, size),
    )
    verdict = Verdict(kind=Kind(kind), process_bytes=0, headroom_bytes=headroom, sentence="because")
    return JudgedRun(result=ran, margin_bytes=0, verdict=verdict)


def by_memory(needed_mib: float) -> JudgedRun:
    if needed_mib > 900:
        return answer("oom", 900)
    return answer("safe" if needed_mib <= 800 else "tight", math.ceil(needed_mib))


class Script:
    """A made-up script: memory by batch; expandable segments save a part."""

    def __init__(self, fixed_mib: float, each_mib: float, saved: float = 0.0, bend: float = 0.0) -> None:
        self._needs = lambda batch, saved: (fixed_mib + each_mib * batch + bend * batch**1.5) * (1 - saved)
        self._saved = saved
        self.asked: list[tuple[int | None, bool]] = []

    def __call__(self, batch: int | None, expandable: bool) -> JudgedRun:
        self.asked.append((batch, expandable))
        return self.look(batch or 1, expandable)

    def look(self, batch: int, expandable: bool) -> JudgedRun:
        return by_memory(self._needs(batch, self._saved if expandable else 0.0))

    def largest(self, given: int, expandable: bool) -> int | None:
        """By trying every one."""
        fit = [
            batch
            for batch in range(1, MOST * given + 1)
            if self.look(batch, expandable).verdict.kind != "oom"
        ]
        return max(fit, default=None)


def made(
    first: JudgedRun,
    batch: int | None,
    ask: Callable[[int | None, bool], JudgedRun],
    *,
    expandable: bool = True,
) -> list[Candidate]:
    """What the search runs around a first run, that one included."""
    candidates = [Candidate(batch=batch, expandable=False, run=first)]
    asking = search(candidates, expandable=expandable)
    with contextlib.suppress(StopIteration):
        wanted = next(asking)
        while True:
            wanted = asking.send(ask(*wanted))
    return candidates


def found(candidates: list[Candidate], expandable: bool) -> int | None:
    return max(
        (each.batch or 0 for each in candidates if each.fits and each.expandable == expandable), default=None
    )


@given(
    fixed=st.floats(0, 1000),
    each=st.floats(0.1, 400),
    bend=st.sampled_from([0.0, 0.5]),
    saved=st.sampled_from([0.0, 0.1, 0.5]),
    batch=st.integers(1, 64),
)
def test_the_largest_that_fits_is_found_with_few_runs(
    fixed: float, each: float, bend: float, saved: float, batch: int
) -> None:
    script = Script(fixed, each, saved, bend)
    candidates = made(script.look(batch, False), batch, script)
    for expandable in (False, True):
        best, truth = found(candidates, expandable), script.largest(batch, expandable)
        assert best == truth or (best and truth and 64 <= best <= truth <= best + best // 32)
    assert len(set(script.asked)) == len(script.asked)  # nothing is run twice
    assert len(script.asked) <= 2 * (math.log2(MOST * batch) + 6)


def test_a_line_needs_only_a_few_runs() -> None:
    script = Script(100, 7.7)
    candidates = made(script.look(16, False), 16, script, expandable=False)
    assert found(candidates, False) == script.largest(16, False) == 64
    assert len(script.asked) == 1
    script = Script(100, 29)
    made(script.look(16, False), 16, script, expandable=False)
    assert len(script.asked) <= 4


def test_without_a_batch_only_the_allocator_is_tried() -> None:
    script = Script(990, 0, saved=0.1)
    candidates = made(script.look(1, False), None, script)
    assert script.asked == [(None, True)]
    assert conclusions(candidates, None) == ["expandable segments alone: tight, was oom"]


def test_nothing_is_searched_around_a_crash() -> None:
    script = Script(1, 1)
    candidates = made(answer("crashed"), 4, script)
    assert script.asked == []
    assert conclusions(candidates, None)[0].startswith("nothing was searched")


def test_a_crash_in_between_is_told_and_counts_as_not_fitting() -> None:
    def ask(batch: int | None, expandable: bool) -> JudgedRun:
        return answer("crashed") if batch and batch >= 5 else answer("safe", 10)

    batch = find_batch(["python", "t.py", "--batch-size", "2"])
    candidates = made(answer("safe", 10), 2, ask, expandable=False)
    assert found(candidates, False) == 4
    assert any(
        "gave no answer and counts as not fitting: crashed: because" in each
        for each in conclusions(candidates, batch)
    )


def test_what_is_told_names_the_largest_that_fits_and_the_largest_safe_one() -> None:
    script = Script(0, 100)
    batch = find_batch(["python", "t.py", "--batch-size", "20"])
    candidates = made(script.look(20, False), 20, script)
    said = conclusions(candidates, batch)
    assert said[0] == "expandable segments alone: oom, was oom"
    assert said[1].startswith("the largest batch-size that fits: 9 (10 does not), tight")
    assert said[2].startswith(
        "the largest batch-size that fits with expandable segments: 9 (10 does not), tight"
    )
    assert conclusions(made(by_memory(5000), 4, Script(5000, 1)), batch)[1] == "no batch-size from 1 on fits"
    shown = as_text(suggestions_blocks(to_suggestions(candidates, batch, complete=True)))
    assert "900.00" in shown
    assert "virtual" in shown


@pytest.mark.parametrize(
    ("command", "name", "changed"),
    [
        ("python t.py --batch_size=16", None, "python t.py --batch_size=7"),
        ("python t.py --batch_size 16 --lr 1", None, "python t.py --batch_size 7 --lr 1"),
        ("python t.py batch_size=16", None, "python t.py batch_size=7"),
        ("python t.py ++train.batch_size=16 x=1", None, "python t.py ++train.batch_size=7 x=1"),
        ("python t.py --per_device_train_batch_size 8", None, "python t.py --per_device_train_batch_size 7"),
        ("torchrun --nproc 1 t.py --batch-size=4", None, "torchrun --nproc 1 t.py --batch-size=7"),
        ("python t.py -b 16", "b", "python t.py -b 7"),
        ("t.py --a-batch-size=6 --b-batch-size=4", "b-batch_size", "t.py --a-batch-size=6 --b-batch-size=7"),
        ("python t.py model.bs=4 --x.y 3", "bs", "python t.py model.bs=7 --x.y 3"),
        ("python t.py --batch_size=16 --batch_size=8", None, "python t.py --batch_size=16 --batch_size=7"),
        ("t.py --batch_size=16 --eval_batch_size=auto", None, "t.py --batch_size=7 --eval_batch_size=auto"),
    ],
)  # fmt: skip
def test_the_batch_is_found_and_replaced(command: str, name: str | None, changed: str) -> None:
    words = command.split()
    argument = find_batch(words, name)
    assert argument is not None
    assert " ".join(argument.set(words, 7)) == changed


@pytest.mark.parametrize(
    ("command", "name", "expected"),
    [
        ("python t.py --lr=1 --wd 0.1", "batch", "found: --lr, --wd"),
        ("python t.py", "batch", "found: none"),
        ("t.py --total-batch-size=64 --dev-batch-size=4", None, "found total-batch-size, dev-batch-size"),
        ("python t.py --batch=auto", "batch", "found 'auto'"),
        ("python t.py --batch=0", "batch", "found '0'"),
    ],
)  # fmt: skip
def test_a_batch_that_is_not_there_is_told(command: str, name: str | None, expected: str) -> None:
    with pytest.raises(RequestError, match=expected):
        find_batch(command.split(), name)


def test_no_batch_at_all_is_no_error() -> None:
    assert find_batch(["python", "train.py", "--lr", "1"]) is None


def test_expandable_segments_join_what_is_set() -> None:
    assert not is_expandable({})
    assert is_expandable({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64, expandable_segments:True"})
    both = with_expandable({"PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb:64,expandable_segments:False"})
    assert both == dict.fromkeys(
        ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"), "max_split_size_mb:64,expandable_segments:True"
    )
