"""When a result is safe, tight or out of memory, and when a step leaks."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import DEVICE, device, oom_result, peaks, result

from nanocheck.core.config import StepConfig
from nanocheck.core.coverage import Coverage
from nanocheck.core.result import Outcome, OutOfMemory, Recovery, RunResult
from nanocheck.core.units import GIB, MIB
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES, MEANINGS, Kind, classify, leaks

#: When CUDA takes the most, and the least.
AVAILABLE = DEVICE.capacity_bytes - DEVICE.context_most_bytes
SURPLUS = DEVICE.context_most_bytes - DEVICE.context_bytes


def test_headroom_counts_context_and_reserve() -> None:
    verdict = classify(result(device=device(reserve_bytes=2148 * MIB)))
    assert verdict.headroom_bytes == (11_874 - 288 - 2148 - 9000) * MIB
    assert verdict.process_bytes == (9000 + 178) * MIB
    assert verdict.kind == "tight"
    assert "inside the margin of 512.00" in verdict.sentence
    assert classify(result()).kind == "safe"


@given(reserved=st.integers(0, AVAILABLE), margin=st.integers(0, 2048 * MIB))
def test_safe_exactly_from_the_margin_on(reserved: int, margin: int) -> None:
    verdict = classify(result(peaks=peaks(allocated=reserved, reserved=reserved)), margin)
    assert verdict.headroom_bytes == AVAILABLE - reserved
    assert (verdict.kind == "safe") == (verdict.headroom_bytes >= margin)


@given(beyond=st.integers(-600 * MIB, 400 * MIB), span=st.integers(1, 200 * MIB))
def test_between_two_drivers_it_is_tight(beyond: int, span: int) -> None:
    """*Safe* holds at the least that drivers leave, out of memory is certain beyond the most."""
    card = device(capacity_least_bytes=DEVICE.capacity_bytes - span)
    reserved = card.surely_available_bytes + beyond
    verdict = classify(result(peaks=peaks(reserved=reserved), device=card))
    assert verdict.headroom_bytes == -beyond
    if beyond > span + SURPLUS:
        assert verdict.kind == "oom"
    else:
        assert verdict.kind == ("safe" if -beyond >= DEFAULT_MARGIN_BYTES else "tight")
    if 0 < beyond <= span + SURPLUS:
        assert "drivers leave" in verdict.sentence


@given(first=st.integers(0, AVAILABLE), second=st.integers(0, AVAILABLE))
def test_using_more_never_helps(first: int, second: int) -> None:
    order = {"safe": 0, "tight": 1, "oom": 2}
    low, high = sorted((first, second))
    kinds = [classify(result(peaks=peaks(reserved=each))).kind for each in (low, high)]
    assert order[kinds[0]] <= order[kinds[1]]


def test_retries_make_it_tight_whatever_the_headroom() -> None:
    verdict = classify(result(retries=2))
    assert (verdict.kind, verdict.headroom_bytes) == ("tight", AVAILABLE - 9000 * MIB)
    assert "only after 2 allocator retries" in verdict.sentence
    assert "1 allocator retry:" in classify(result(retries=1)).sentence
    assert classify(result(ooms=1)).kind == "tight", "an out-of-memory somebody caught is no safe run"


@pytest.mark.parametrize(
    ("kind", "platform", "expected"),
    [
        ("virtual", "linux", "oom"),
        ("virtual", "windows", "oom"),
        ("real", "linux", "oom"),
        ("real", "windows", "tight"),  # there the driver spills into system memory
    ],
)
def test_beyond_the_card_fits_only_where_a_real_driver_spilled(
    kind: str, platform: str, expected: str
) -> None:
    where = device(kind=kind, platform=platform)
    verdict = classify(result(device=where, peaks=peaks(reserved=AVAILABLE + SURPLUS + 100 * MIB)))
    assert (verdict.kind, verdict.headroom_bytes) == (expected, -100 * MIB - SURPLUS)
    assert "100.00 MiB beyond the card" in verdict.sentence


@given(into=st.integers(1, SURPLUS))
def test_between_the_least_and_the_most_that_cuda_takes_it_is_tight(into: int) -> None:
    verdict = classify(result(peaks=peaks(reserved=AVAILABLE + into)), margin_bytes=0)
    assert (verdict.kind, verdict.headroom_bytes) == ("tight", -into)
    assert "CUDA itself takes 178.00 to 288.00 MiB" in verdict.sentence


def processes(*spans: tuple[float | None, float | None, int]) -> RunResult:
    """A command's result whose processes began and ended then, with so many bytes of the card."""
    one = result().main
    return msgspec.structs.replace(
        result(),
        config=None,
        command=("train",),
        processes=tuple(
            msgspec.structs.replace(one, began_s=began, ended_s=ended, process_bytes=size)
            for began, ended, size in spans
        ),
    )


SPAN = st.tuples(st.integers(0, 20), st.integers(0, 20), st.integers(1, 1000)).map(
    lambda each: (float(min(each[:2])), float(max(each[:2])), each[2])
)


@given(st.lists(SPAN, min_size=1, max_size=6))
def test_together_is_the_most_at_any_moment(spans: list[tuple[float, float, int]]) -> None:
    wanted = max(
        sum(size for began, ended, size in spans if began <= moment <= ended)
        for moment in {began for began, _, _ in spans}
    )
    assert processes(*spans).card_bytes == wanted
    whole = processes(*((None, None, size) for _, _, size in spans))
    assert processes(*spans).card_bytes <= whole.card_bytes, "what nobody timed lasted for ever"


def test_processes_share_the_card_only_while_both_live() -> None:
    half = DEVICE.capacity_bytes // 2 + MIB
    assert classify(processes((0, 1, half), (2, 3, half))).kind == "safe"
    verdict = classify(processes((0, 2, half), (1, 3, half)))
    assert (verdict.kind, verdict.headroom_bytes) == ("oom", DEVICE.capacity_bytes - 2 * half - 2 * SURPLUS)
    assert classify(processes((0, 2, half), (1, None, half))).kind == "oom"


def test_memory_beside_pytorch_is_in_the_headroom() -> None:
    beside = result(process_bytes=(178 + 9000 + 2100) * MIB)
    verdict = classify(beside)
    assert (verdict.kind, verdict.headroom_bytes) == ("tight", (11_874 - 288 - 11_100) * MIB)
    assert "2,100.00 MiB taken beside PyTorch" in verdict.sentence


def caught(recovery: Recovery | None) -> RunResult:
    oom = OutOfMemory(
        phase="forward", step=1, requested_bytes=GIB, exact=True, caught=True, recovery=recovery, count=2
    )
    return result(oom=oom, ooms=2, retries=0)


def test_an_out_of_memory_that_was_caught_is_lost_work_unless_it_was_a_search() -> None:
    assert classify(caught(Recovery.SKIPPED)).kind == "lost-work"
    assert classify(caught(None)).kind == "lost-work"
    found = classify(caught(Recovery.SEARCHED))
    assert found.kind == "safe"
    assert ", at the size that it went on with after 2 out-of-memories:" in found.sentence
    seen = Coverage(steps=4, shapes_seen=((4, 64), (4, 64)))
    (process,) = caught(Recovery.SEARCHED).processes
    found = classify(result(oom=process.oom, ooms=2, retries=0, coverage=seen))
    assert ", at inputs of 4 x 64, the size that it went on with after 2" in found.sentence
    # Batches that were trained beside one that was left out are not what it found.
    assert "inputs of" not in classify(result(coverage=seen)).sentence


STOPPED = Coverage(steps=4, stopped_early=True, proof="layout repeats", optimizer_steps=4)
VARY = msgspec.structs.replace(STOPPED, shapes_vary=True, shapes_seen=((8, 64), (8, 192)))


@pytest.mark.parametrize(
    ("coverage", "kind"),
    [
        (STOPPED, "safe"),
        (VARY, "partial"),
        (msgspec.structs.replace(VARY, longest_batches="arranged"), "safe"),
        (msgspec.structs.replace(STOPPED, growth_bytes_per_step=512), "partial"),
        (msgspec.structs.replace(STOPPED, proof="not settled"), "partial"),
        (msgspec.structs.replace(STOPPED, unreached=("eval",)), "partial"),
        (Coverage(idle_optimizers=("train.py:7",)), "partial"),
        # What came to its own end has shown all.
        (msgspec.structs.replace(VARY, stopped_early=False), "safe"),
        (Coverage(), "safe"),
    ],
)
def test_safe_needs_that_nothing_seen_points_to_more(coverage: Coverage, kind: str) -> None:
    verdict = classify(result(coverage=coverage))
    assert (verdict.kind, verdict.headroom_bytes) == (kind, AVAILABLE - 9000 * MIB)
    assert verdict.fits
    assert ("--cover eval" in verdict.sentence) == bool(coverage.unreached)
    # What runs out of memory does, whatever else may come.
    assert classify(result(coverage=coverage, peaks=peaks(reserved=13_000 * MIB))).kind == "oom"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"sizes": "worst", "unknown_sizes": 3}, "safe"),
        ({"sizes": "balanced", "unknown_sizes": 3}, "partial"),
        ({"sizes": "least", "unknown_sizes": 1}, "partial"),
        ({"unbounded_sizes": 1}, "partial"),
    ],
)
def test_safe_needs_sizes_that_cannot_be_exceeded(changes: dict[str, Any], kind: str) -> None:
    ran_to_its_end = Coverage(steps=4, proof="ran to its end")
    assert classify(result(coverage=ran_to_its_end, **changes)).kind == kind
    sentence = classify(msgspec.structs.replace(oom_result(), processes=result(**changes).processes)).sentence
    assert ("--sizes balanced" in sentence) == (changes.get("sizes") == "worst")


def test_every_kind_has_a_meaning_and_only_two_pass_a_check() -> None:
    assert set(MEANINGS) == set(Kind)
    assert {kind for kind, (code, _) in MEANINGS.items() if code == 0} == {Kind.SAFE, Kind.TIGHT}
    assert {Kind(each.value) for each in Outcome if each is not Outcome.COMPLETED} <= set(Kind)


def test_an_oom_says_what_was_asked_where() -> None:
    verdict = classify(oom_result())
    assert (verdict.kind, verdict.headroom_bytes, verdict.is_answer) == ("oom", None, True)
    assert "backward of step 0 asked for 1,572.00 MiB for (16, 1024, 50304) at `buf1" in verdict.sentence


@pytest.mark.parametrize("outcome", ["crashed", "timeout", "unsupported"])
def test_no_answer_stays_no_answer(outcome: str) -> None:
    verdict = classify(result(outcome=outcome, peaks=(), detail="\nRuntimeError: boom\nTraceback\n"))
    assert (verdict.kind, verdict.is_answer, verdict.headroom_bytes) == (outcome, False, None)
    assert str(verdict) == f"{outcome}: RuntimeError: boom"
    assert verdict.sentence == "RuntimeError: boom"


def test_success_without_a_single_peak_is_not_believed() -> None:
    assert classify(result(peaks=())).kind == "crashed"


def test_a_steady_step_does_not_leak() -> None:
    assert leaks(result()) is None
    assert leaks(oom_result()) is None, "a run that died has no steady state to check"


@given(
    size=st.integers(1, 1 << 33),
    sign=st.sampled_from([1, -1]),
    phase=st.sampled_from(["forward", "backward", "optimizer"]),
)
def test_any_byte_kept_from_step_to_step_is_a_leak(size: int, sign: int, phase: str) -> None:
    changed = tuple(
        msgspec.structs.replace(peak, requested_bytes=peak.requested_bytes + sign * size)
        if (peak.phase, peak.step) == (phase, 2)
        else peak
        for peak in peaks()
    )
    said = leaks(result(peaks=changed))
    assert said is not None
    assert said.startswith(f"{phase}: expected equal peaks in steps 1 and 2")
    assert f"{sign * size:+d}" in said


def test_slack_that_moves_between_blocks_is_no_leak() -> None:
    moved = tuple(
        msgspec.structs.replace(
            peak,
            allocated_bytes=peak.allocated_bytes + 524_288,
            reserved_bytes=peak.reserved_bytes + (20 << 20),
        )
        if peak.step == 2
        else peak
        for peak in peaks()
    )
    assert leaks(result(peaks=moved)) is None


def test_cuda_graphs_repeat_themselves_from_the_third_step_on() -> None:
    graphs = StepConfig(compile="reduce-overhead")

    def changing(at: int, steps: int) -> RunResult:
        shown = peaks(steps=steps)
        return result(
            graphs,
            peaks=tuple(
                msgspec.structs.replace(each, requested_bytes=1) if each.step <= at else each
                for each in shown
            ),
        )

    assert leaks(changing(at=1, steps=3)) is None
    assert leaks(changing(at=1, steps=4)) is None
    assert "steps 2 and 3" in str(leaks(changing(at=2, steps=4)))


def test_too_few_steps_to_tell_is_said() -> None:
    assert "at least 3 optimizer steps" in str(leaks(result(peaks=peaks(steps=2))))
    assert "at least 3 optimizer steps" in str(leaks(result(peaks=())))


def test_a_phase_that_vanishes_is_said() -> None:
    kept = tuple(peak for peak in peaks() if (peak.phase, peak.step) != ("optimizer", 2))
    assert "only one of them" in str(leaks(result(peaks=kept)))


def test_the_margin_is_stated() -> None:
    assert DEFAULT_MARGIN_BYTES == 512 * MIB
