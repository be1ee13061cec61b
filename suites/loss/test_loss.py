"""Does the reference step learn? Real arithmetic on real text: what loss means, no virtual GPU can tell.

The configurations are those of the memory suite, scaled down (``cases.scaled_down``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError
from nanocheck.core.matrix import load_matrix
from nanocheck.numerics.cases import DTYPES, SMALL, TEXT, Case, oracle, scaled_down
from nanocheck.numerics.golden import (
    UPDATE,
    Curves,
    Expected,
    Golden,
    curve_problem,
    golden_path,
    load_golden,
    save_golden,
)
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.properties import decrease_problem, overfit_problem, start_problem
from nanocheck.numerics.tiers import SEEDS, close_problem
from nanocheck.numerics.trace import not_finite
from nanocheck.pytest_plugin.context import Context

if TYPE_CHECKING:
    from nanocheck.pytest_plugin.training_suite import TrainingRuns

SUITES = Path(__file__).parents[1]
STORED = SUITES.parent / "baselines" / "loss"
STEPS = 24
CONFIGS = list(dict.fromkeys(map(scaled_down, load_matrix(SUITES / "memory" / "matrix.toml").configs)))
#: GPT-2's whole vocabulary, once.
WHOLE = Plan(config=replace(SMALL, vocab_size=50304), text="gpt2", steps=16)
PLANS = [*(Plan(config=config, text=TEXT, steps=STEPS) for config in CONFIGS), WHOLE]


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


each_run = each([Case(id=plan.config.id, plans=(plan,)) for plan in PLANS])
#: The formulas take GPT-2's whole vocabulary ten seconds, and find nothing there that they miss elsewhere.
each_with_formulas = each(
    [Case(id=plan.config.id, plans=(plan, oracle(plan))) for plan in PLANS if plan is not WHOLE]
)


def fail_if(problem: str | None, hint: str) -> None:
    if problem is not None:
        pytest.fail(f"{problem}\n  hint: {hint}", pytrace=False)


def stored(config: StepConfig, environment: Mapping[str, str]) -> Expected:
    path = golden_path(STORED, config)
    curves = load_golden(path, config)
    if curves is None:
        pytest.fail(f"expected a stored curve at {path.name}, found none\n  hint: {UPDATE}", pytrace=False)
    return curves.expected(environment)


@each_run
def test_every_figure_is_finite(case: Case, training_runs: TrainingRuns) -> None:
    fail_if(
        not_finite(training_runs[case.plans[0]]), "look for a batch without a target, and at the loss scaler"
    )


@each_run
def test_starts_at_ln_v(case: Case, training_runs: TrainingRuns) -> None:
    plan = case.plans[0]
    fail_if(
        start_problem(training_runs[plan], plan.config), "look at the weights' scale and the loss's divisor"
    )


@each_run
def test_decreases(case: Case, training_runs: TrainingRuns) -> None:
    fail_if(decrease_problem(training_runs[case.plans[0]]), "look at the sign and size of the updates")


@each_run
def test_equals_its_stored_curve(
    case: Case,
    training_runs: TrainingRuns,
    nanocheck: Context,
    stale_curve: Callable[[str], None],
    record_property: Callable[[str, object], None],
) -> None:
    plan = case.plans[0]
    if nanocheck.settings.update:
        update(plan, training_runs)
        record_property("baseline", "updated")
        return
    trace = training_runs[plan]
    expected = stored(plan.config, trace.environment)
    record_property("baseline", "stale" if expected.stale else "current")
    record_property("provenance", "measured")
    record_property("final_loss", trace.losses[-1])
    if expected.stale:
        stale_curve(f"{expected.stale}; to store one of this: {UPDATE}")
    found = curve_problem(trace, expected.golden, expected.loss, expected.grad_norm)
    fail_if(found, f"if it is meant: {UPDATE}")


def update(plan: Plan, training_runs: TrainingRuns) -> None:
    path = golden_path(STORED, plan.config)
    others = [replace(plan, config=replace(plan.config, seed=seed)) for seed in SEEDS]
    training_runs.start([each for one in others for each in (one, oracle(one))])
    golden = Golden.measured(
        training_runs[plan], [(training_runs[each], training_runs[oracle(each)]) for each in others]
    )
    try:
        known = load_golden(path, plan.config)
    except StoredDataError:  # a damaged file is exactly what an update repairs
        known = None
    save_golden(path, (known or Curves(config=plan.config, curves=())).with_curve(golden))


@each_with_formulas
def test_equals_the_formulas(case: Case, training_runs: TrainingRuns) -> None:
    plan, formulas = case.plans
    rounding_error = stored(plan.config, training_runs[plan].environment).golden.rounding_error
    found = close_problem(
        training_runs[plan], training_runs[formulas], rounding_error, "the formulas in fp64"
    )
    fail_if(found, "compare nanocheck/step with nanocheck/step/reference_fp64.py")


@each_run
def test_falls_as_steeply_as_stored(case: Case, training_runs: TrainingRuns) -> None:
    trace = training_runs[case.plans[0]]
    fail_if(stored(case.plans[0].config, trace.environment).golden.slope_problem(trace), UPDATE)


@each_run
def test_canaries(case: Case, training_runs: TrainingRuns) -> None:
    trace = training_runs[case.plans[0]]
    fail_if(stored(case.plans[0].config, trace.environment).golden.canary_problem(trace), UPDATE)


@each(
    [
        Case(id=dtype, plans=(Plan(config=replace(SMALL, batch=1, dtype=dtype), text="one", steps=240),))
        for dtype in DTYPES
    ]
)
def test_learns_one_batch_by_heart(case: Case, training_runs: TrainingRuns) -> None:
    fail_if(
        overfit_problem(training_runs[case.plans[0]]),
        "look at which parameters get a gradient, and at the targets",
    )


def test_every_stored_curve_is_used() -> None:
    unused = {path.name for path in STORED.glob("*.json")} - {f"{plan.config.id}.json" for plan in PLANS}
    fail_if(
        f"stored curves of no configuration: {', '.join(sorted(unused))}" if unused else None,
        f"git rm {' '.join(f'baselines/loss/{name}' for name in sorted(unused))}",
    )
