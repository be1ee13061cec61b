"""fp16 honestly: what the loss scaler does, what happens without one, and what a broken gradient does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from nanocheck.core.step_fields import ADAMWS
from nanocheck.numerics.cases import SMALL, TEXT, Case
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.tiers import distance
from nanocheck.numerics.trace import Trace, not_finite
from nanocheck.pytest_plugin.training_suite import TrainingRuns

Runs = Mapping[Plan, Trace]
FP16 = replace(SMALL, dtype="fp16")


def plan(**changes: Any) -> Plan:
    return Plan(**{"config": FP16, "text": TEXT, "steps": 12, "every_step": True, **changes})


def each(**plans: Plan) -> pytest.MarkDecorator:
    cases = [Case(id=name.replace("_", "-"), plans=(each,)) for name, each in plans.items()]
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


@each(grows=plan(scaler={"init_scale": 1024.0, "growth_interval": 4}))
def test_the_scale_grows_after_enough_good_steps(case: Case, training_runs: TrainingRuns) -> None:
    assert [step.scale for step in training_runs[case.plans[0]].steps] == [1024.0] * 4 + [2048.0] * 4 + [
        4096.0
    ] * 4


@each(backs_off=plan(scaler={"init_scale": 2.0**24}, steps=16))
def test_an_overflow_skips_the_step_and_halves_the_scale(case: Case, training_runs: TrainingRuns) -> None:
    trace = training_runs[case.plans[0]]
    skipped = [step.skipped for step in trace.steps]
    assert skipped[0], "the scale was to be too large at first"
    assert not skipped[-1], "and to be found in the end"
    for before, after in pairwise(trace.steps):
        assert after.scale == (before.scale / 2 if before.skipped else before.scale)
    for index, step in enumerate(trace.steps):  # nothing moves in a skipped step, not even a bit
        assert (trace.parameters[index] == trace.parameters[index - 1]) == step.skipped
    assert trace.steps[-1].updates == skipped.count(False)
    assert not_finite(trace) is None
    assert trace.losses[-1] < trace.losses[0]


@each(usual=plan(), small=plan(scaler={"init_scale": 2.0**10}))
def test_the_scale_is_a_power_of_two_and_changes_only_what_underflows(
    case: Case, training_runs: TrainingRuns
) -> None:
    usual, small = training_runs[plan()], training_runs[case.plans[0]]
    apart = distance(small, usual)
    assert apart.loss < 1e-3, "a scale of 1,024 loses more of this model's gradients than it may"


#: The loss of one micro-batch of 2^18: no gradient of a logit is above 2^-25, which fp16 rounds to 0.
_THIN = {"config": replace(FP16, accumulation=1 << 18), "micro_batches": 1, "steps": 2}
_THIN_FP32 = plan(**{**_THIN, "config": replace(SMALL, accumulation=1 << 18)})


@each(without=plan(**_THIN, scaler={"enabled": False}), with_scaler=plan(**_THIN), fp32=_THIN_FP32)
def test_gradients_underflow_without_a_scaler(case: Case, training_runs: TrainingRuns) -> None:
    found, right = training_runs[case.plans[0]].grad_norms[0], training_runs[_THIN_FP32].grad_norms[0]
    if case.id == "without":
        assert found < 0.5 * right, "gradients this small were expected to be lost in fp16"
    else:
        assert found == pytest.approx(right, rel=0.05)


_BROKEN = {
    f"{optimizer}-{value}": plan(config=replace(FP16, optimizer=optimizer), poison=(value, 3), steps=8)
    for optimizer in ADAMWS
    for value in ("nan", "inf")
}


@each(**_BROKEN)
def test_a_broken_gradient_is_skipped_whole(case: Case, training_runs: TrainingRuns) -> None:
    """The scaler must keep it from every parameter and from the optimizer's count, fused AdamW's too."""
    trace = training_runs[case.plans[0]]
    assert [step.skipped for step in trace.steps] == [index == 3 for index in range(8)]
    assert trace.parameters[3] == trace.parameters[2]
    assert [step.updates for step in trace.steps] == [1, 2, 3, 3, 4, 5, 6, 7]
    assert trace.steps[4].scale == trace.steps[3].scale / 2
    assert not_finite(trace) is None


_NAN = ("nan", 3)


@each(
    fp32=plan(config=SMALL, poison=_NAN),
    bf16=plan(config=replace(SMALL, dtype="bf16"), poison=_NAN),
    fp16=plan(scaler={"enabled": False}, poison=_NAN),
)
def test_without_a_scaler_one_broken_gradient_ends_the_run_and_is_seen(
    case: Case, training_runs: TrainingRuns
) -> None:
    trace = training_runs[case.plans[0]]
    assert not_finite(trace) == "grad_norm of step 3 is nan"
    assert trace.losses[3] == trace.losses[3]  # the loss of that step was still a number
    assert trace.losses[4] != trace.losses[4]
