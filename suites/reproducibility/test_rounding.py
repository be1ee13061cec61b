"""The tiers fp32 and 16-bit: the same mathematics in another order.

Every run is held against the formulas in fp64; how far a number format may be from them was measured over
other seeds and is stored in ``baselines/spreads.json``. Compiled steps are held against the same formulas in
``suites/loss``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nanocheck.numerics.cases import (
    DTYPES,
    FACTORS,
    SEQUENCES,
    SMALL,
    TEXT,
    Case,
    family,
    oracle,
    table_oracle,
    table_plan,
)
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.rounding_errors import UPDATE, Measured, load_rounding_errors, save_rounding_errors
from nanocheck.numerics.tiers import SEEDS, Distance, close_problem, distance
from nanocheck.numerics.trace import Trace
from nanocheck.pytest_plugin.context import Context

if TYPE_CHECKING:
    from nanocheck.pytest_plugin.training_suite import TrainingRuns

STORED = Path(__file__).parents[2] / "baselines" / "spreads.json"


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def rounding_error_of(dtype: str, sequences: int) -> Distance:
    name = family(dtype, sequences)
    stored = load_rounding_errors(STORED).get(name)
    if stored is None:
        pytest.fail(
            f"expected a stored rounding error of {name} in {STORED.name}, found none\n  hint: {UPDATE}"
        )
    return stored.rounding_error


def fail_unless_close(found: Trace, expected: Trace, dtype: str, sequences: int, what: str) -> None:
    problem = close_problem(found, expected, rounding_error_of(dtype, sequences), what)
    if problem is not None:
        pytest.fail(f"{problem}\n  hint: look at what was changed; if it is meant: {UPDATE}", pytrace=False)


@pytest.mark.parametrize("sequences", [SMALL.batch, SEQUENCES])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rounding_error_over_seeds(
    dtype: str, sequences: int, training_runs: TrainingRuns, nanocheck: Context
) -> None:
    """Measures the rounding error where it is asked for; else checks that the stored one is of this shape."""
    if not nanocheck.settings.update:
        rounding_error = rounding_error_of(dtype, sequences)
        assert 0 < rounding_error.loss < 1
        assert 0 < rounding_error.grad_norm < 1
        assert 0 < rounding_error.parameters < 1
        return
    rounding_error = Distance(loss=0.0, grad_norm=0.0, parameters=0.0)
    factors = [each for each in FACTORS if each <= sequences]
    training_runs.start(
        table_plan(batch, dtype, sequences=sequences, seed=seed) for seed in SEEDS for batch in factors
    )
    for seed in SEEDS:
        whole = training_runs[table_oracle(sequences=sequences, seed=seed)]
        for batch in factors:
            cell = table_plan(batch, dtype, sequences=sequences, seed=seed)
            rounding_error = rounding_error.union(distance(training_runs[cell], whole))
    found = Measured(rounding_error=rounding_error, environment=whole.environment)
    save_rounding_errors(STORED, {**load_rounding_errors(STORED), family(dtype, sequences): found})


@each(
    [
        Case(id=f"{dtype}-{batch}x{SEQUENCES // batch}", plans=(table_plan(batch, dtype), table_oracle()))
        for dtype in DTYPES
        for batch in FACTORS
    ]
)
def test_batch_times_accumulation(case: Case, training_runs: TrainingRuns) -> None:
    cell, whole = case.plans
    fail_unless_close(
        training_runs[cell],
        training_runs[whole],
        cell.config.dtype,
        SEQUENCES,
        "32 sequences at once in fp64",
    )


#: fp32 in another order of operations.
_VARIANTS = {
    "foreach": Plan(config=replace(SMALL, optimizer="adamw-foreach"), text=TEXT, steps=6),
    "for-loop": Plan(config=replace(SMALL, optimizer="adamw-loop"), text=TEXT, steps=6),
    "attention-math": Plan(config=SMALL, text=TEXT, steps=6, attention="math"),
    "attention-flash": Plan(config=SMALL, text=TEXT, steps=6, attention="flash"),
    "two-threads": Plan(config=SMALL, text=TEXT, steps=6, threads=2),
    "chunked-loss": Plan(config=replace(SMALL, loss="chunked"), text=TEXT, steps=6),
}


@each([Case(id=name, plans=(plan, oracle(plan))) for name, plan in _VARIANTS.items()])
def test_same_mathematics(case: Case, training_runs: TrainingRuns) -> None:
    variant, formulas = case.plans
    fail_unless_close(
        training_runs[variant], training_runs[formulas], "fp32", SMALL.batch, "the formulas in fp64"
    )


def test_fewer_sequences_are_another_training(training_runs: TrainingRuns) -> None:
    """The nanoGPT note's 16 x 32 -> 12 x 40, scaled down: 30 sequences for 32 are no rounding error."""
    fewer, whole = training_runs[table_oracle(sequences=30)], training_runs[table_oracle()]
    assert close_problem(fewer, whole, rounding_error_of("bf16", SEQUENCES), "32 sequences") is not None
