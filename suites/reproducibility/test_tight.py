"""The tight tier (fp32) and the loose one (bf16, fp16): the same mathematics in another order.

Every run is held against the formulas in fp64; how far a number format may be from them was measured over
other seeds and is stored in ``baselines/spreads.json``. Compiled steps are held against the same formulas in
``suites/loss``.
"""

from __future__ import annotations

from collections.abc import Mapping
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
from nanocheck.numerics.spreads import UPDATE, Measured, load_spreads, save_spreads
from nanocheck.numerics.tiers import SEEDS, Spread, close_problem, distance
from nanocheck.numerics.trace import Trace

if TYPE_CHECKING:
    from conftest import Asking

STORED = Path(__file__).parents[2] / "baselines" / "spreads.json"


def each(cases: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=lambda case: case.id)


def spread_of(dtype: str, sequences: int) -> Spread:
    name = family(dtype, sequences)
    stored = load_spreads(STORED).get(name)
    if stored is None:
        pytest.fail(f"expected a stored spread of {name} in {STORED.name}, found none\n  mend: {UPDATE}")
    return stored.spread


def judge(found: Trace, expected: Trace, dtype: str, sequences: int, what: str) -> None:
    problem = close_problem(found, expected, spread_of(dtype, sequences), what)
    if problem is not None:
        pytest.fail(f"{problem}\n  mend: look at what was changed; if it is meant: {UPDATE}", pytrace=False)


@pytest.mark.parametrize("sequences", [SMALL.batch, SEQUENCES])
@pytest.mark.parametrize("dtype", DTYPES)
def test_spread_over_seeds(dtype: str, sequences: int, runs: Asking, updating: bool) -> None:
    """Measures the spread where it is asked for; else checks that the stored one is of this shape."""
    if not updating:
        spread = spread_of(dtype, sequences)
        assert 0 < spread.loss < 1
        assert 0 < spread.grad_norm < 1
        assert 0 < spread.parameters < 1
        return
    spread = Spread(loss=0.0, grad_norm=0.0, parameters=0.0)
    factors = [each for each in FACTORS if each <= sequences]
    runs.start(
        table_plan(batch, dtype, sequences=sequences, seed=seed) for seed in SEEDS for batch in factors
    )
    for seed in SEEDS:
        whole = runs[table_oracle(sequences=sequences, seed=seed)]
        for batch in factors:
            cell = table_plan(batch, dtype, sequences=sequences, seed=seed)
            spread = spread.union(distance(runs[cell], whole))
    found = Measured(spread=spread, environment=whole.environment)
    save_spreads(STORED, {**load_spreads(STORED), family(dtype, sequences): found})


@each(
    [
        Case(id=f"{dtype}-{batch}x{SEQUENCES // batch}", plans=(table_plan(batch, dtype), table_oracle()))
        for dtype in DTYPES
        for batch in FACTORS
    ]
)
def test_batch_times_accumulation(case: Case, runs: Mapping[Plan, Trace]) -> None:
    cell, whole = case.plans
    judge(runs[cell], runs[whole], cell.config.dtype, SEQUENCES, "32 sequences at once in fp64")


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
def test_same_mathematics(case: Case, runs: Mapping[Plan, Trace]) -> None:
    variant, formulas = case.plans
    judge(runs[variant], runs[formulas], "fp32", SMALL.batch, "the formulas in fp64")


def test_fewer_sequences_are_another_training(runs: Mapping[Plan, Trace]) -> None:
    """Note A's 16 x 32 -> 12 x 40, scaled down: 30 sequences instead of 32 are no rounding error."""
    fewer, whole = runs[table_oracle(sequences=30)], runs[table_oracle()]
    assert close_problem(fewer, whole, spread_of("bf16", SEQUENCES), "32 sequences") is not None
