"""The exact tier: what must be the same to the last bit, because nothing was computed in another order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nanocheck.numerics.cases import DTYPES, TEXT, Case, exact_cases, exact_config, resumed
from nanocheck.numerics.divergence import first_divergence, same_end
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.tiers import exact_problem
from nanocheck.pytest_plugin.training_suite import TrainingRuns


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def fail_if(problem: str | None, hint: str) -> None:
    if problem is not None:
        pytest.fail(f"not bitwise the same: {problem}\n  hint: {hint}", pytrace=False)


@each(exact_cases(lambda plan: (plan, replace(plan, again=1))))
def test_two_processes(case: Case, training_runs: TrainingRuns) -> None:
    first, second = (training_runs[plan] for plan in case.plans)
    fail_if(
        exact_problem(second, first), "look for a draw without a generator, or for state left by the machine"
    )


# Eager only: a compiled step is compiled again, as in another process.
@each(exact_cases(lambda plan: (plan, replace(plan, repeat=2)))[::2])
def test_twice_in_one_process(case: Case, training_runs: TrainingRuns) -> None:
    once, twice = (training_runs[plan] for plan in case.plans)
    fail_if(exact_problem(twice, once), "look for state that one run leaves to the next in the process")


@each(exact_cases(lambda plan: (plan, resumed(plan))))
def test_resumed_equals_uninterrupted(case: Case, training_runs: TrainingRuns) -> None:
    whole, half = (training_runs[plan] for plan in case.plans)
    start = len(whole.steps) - len(half.steps)
    tail = replace(
        whole, steps=whole.steps[start:], parameters={len(half.steps) - 1: whole.final}, evaluation={}
    )
    hint = "look at what the checkpoint holds: model, optimizer, data's generator, fetched batch, loss scaler"
    fail_if(first_divergence(half, tail) and str(first_divergence(half, tail)), hint)
    fail_if(same_end(half, tail), hint)


def computed_again(dtype: str, checkpointing: str) -> Case:
    plain = Plan(config=exact_config(dtype, "off"), text=TEXT, save_after=8)
    again = replace(plain, config=replace(plain.config, checkpointing=checkpointing))
    return Case(id=f"{dtype}-{checkpointing}", plans=(plain, again))


@each([computed_again(dtype, how) for dtype in DTYPES for how in ("block", "selective")])
def test_activation_checkpointing(case: Case, training_runs: TrainingRuns) -> None:
    plain, again = case.plans
    fail_if(
        exact_problem(training_runs[again], training_runs[plain]),
        "the second forward must repeat the first: see autocast",
    )


@each(exact_cases(lambda plan: (plan,))[:1])
def test_another_seed_is_another_run(case: Case, training_runs: TrainingRuns) -> None:
    """The comparison can fail: it sees a single other seed."""
    plan = case.plans[0]
    other = replace(plan, config=replace(plan.config, seed=plan.config.seed + 1))
    assert exact_problem(training_runs[other], training_runs[plan]) is not None
