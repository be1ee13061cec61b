"""A language with a known entropy: every optimizer comes near to that floor, and none below it.

The floor is a closed form (``nanocheck.numerics.language.source``), the loss is that of fresh text. How near
a run must come was measured over other seeds and is stored in ``baselines/language/distances.json``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nanocheck.numerics.cases import Case
from nanocheck.numerics.language.approach import ON_A_GPU, Approach, gpu_plans, plans, why_not, with_seed
from nanocheck.numerics.language.distances import UPDATE, Distances, load_distances, save_distances
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.tiers import SEEDS
from nanocheck.pytest_plugin.context import Context

if TYPE_CHECKING:
    from nanocheck.pytest_plugin.training_suite import TrainingRuns

STORED = Path(__file__).parents[2] / "baselines" / "language" / "distances.json"


def _case(plan: Plan) -> object:
    reason = why_not(plan)
    marks = [] if reason is None else [pytest.mark.skip(reason=reason)]
    return pytest.param(Case(id=plan.config.id, plans=(plan,)), marks=marks, id=plan.config.id)


each_run = pytest.mark.parametrize("case", [_case(plan) for plan in plans()])


def fail_if(problem: str | None, hint: str) -> None:
    if problem is not None:
        pytest.fail(f"{problem}\n  hint: {hint}", pytrace=False)


def crosses_nothing(found: Approach) -> None:
    fail_if(found.crossing_problem(), "look for a token that sees what it predicts: mask, targets")


def uses_its_context(found: Approach) -> None:
    fail_if(found.context_problem(), "look at attention and positions")


def approach(case: Case, training_runs: TrainingRuns) -> Approach:
    return Approach.of(case.plans[0], training_runs[case.plans[0]])


@each_run
def test_never_crosses_the_floor(case: Case, training_runs: TrainingRuns) -> None:
    crosses_nothing(approach(case, training_runs))


@each_run
def test_uses_its_context(case: Case, training_runs: TrainingRuns) -> None:
    uses_its_context(approach(case, training_runs))


@each_run
def test_comes_as_near_as_stored(
    case: Case,
    training_runs: TrainingRuns,
    nanocheck: Context,
    record_property: Callable[[str, object], None],
) -> None:
    (plan,) = case.plans
    if nanocheck.settings.update:
        update(plan, training_runs)
    trace = training_runs[plan]
    found = Approach.of(plan, trace)
    record_property("provenance", "measured")
    record_property("distance_nats", found.distance)
    stored = load_distances(STORED).get(plan.config.id)
    if stored is None:
        pytest.fail(f"expected stored distances of {case.id}, found none\n  hint: {UPDATE}", pytrace=False)
    fail_if(stored.problem(found, trace.environment["text_sha256"]), f"if it is meant: {UPDATE}")


def update(plan: Plan, training_runs: TrainingRuns) -> None:
    others = [with_seed(plan, seed) for seed in SEEDS]
    training_runs.start(others)
    measured = Distances.measured(others, [training_runs[each] for each in others])
    save_distances(STORED, {**load_distances(STORED), plan.config.id: measured})


@pytest.mark.parametrize("plan", gpu_plans(), ids=lambda plan: plan.config.id)
def test_an_optimizer_that_needs_a_gpu(plan: Plan, training_runs: TrainingRuns) -> None:
    """How near it must come is not stored: no GPU has run it yet."""
    if not training_runs.on_gpu:
        pytest.skip(ON_A_GPU[plan.config.optimizer])
    missing = why_not(plan)
    if missing is not None:
        pytest.skip(missing)
    found = Approach.of(plan, training_runs[plan])
    crosses_nothing(found)
    uses_its_context(found)


def test_every_stored_distance_is_used() -> None:
    unused = set(load_distances(STORED)) - {plan.config.id for plan in plans()}
    fail_if(
        f"stored distances of no run: {', '.join(sorted(unused))}" if unused else None, f"edit {STORED.name}"
    )
