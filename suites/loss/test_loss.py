"""Does the reference step learn? Real arithmetic on real text: what loss means, no virtual GPU can tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nanocheck.config import StepConfig
from nanocheck.errors import StoredDataError
from nanocheck.matrix import load_matrix
from nanocheck.step.curves import (
    SAME,
    UPDATE,
    LossBaseline,
    baseline_path,
    decrease_problem,
    difference,
    load_baseline,
    save_baseline,
    start_problem,
)

if TYPE_CHECKING:
    from conftest import Curves

CONFIGS = load_matrix(Path(__file__).parent / "matrix.toml").configs
BASELINES = Path(__file__).parents[2] / "baselines" / "loss"

each_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.id)


def judge(problem: str | None, mend: str) -> None:
    if problem is not None:
        pytest.fail(f"{problem}\n  mend: {mend}", pytrace=False)


def readable_baseline(path: Path, config: StepConfig) -> LossBaseline:
    """What is stored, or an empty baseline: a damaged file is exactly what an update mends."""
    try:
        stored = load_baseline(path, config)
    except StoredDataError:
        stored = None
    return stored or LossBaseline(config=config, curves=())


@each_config
def test_starts_at_ln_v(config: StepConfig, curves: Curves) -> None:
    judge(start_problem(curves[config].curve, config), "look at the weights' scale and the loss's divisor")


@each_config
def test_decreases(config: StepConfig, curves: Curves) -> None:
    judge(decrease_problem(curves[config].curve), "look at the sign and size of the updates")


@each_config
def test_equals_the_formulas(config: StepConfig, curves: Curves) -> None:
    measured = curves[config]
    found = difference(measured.curve, measured.textbook, SAME[config.dtype])
    judge(found, "compare nanocheck/step with nanocheck/step/textbook.py")


@pytest.mark.parametrize(
    "config", [each for each in CONFIGS if each.accumulation > 1], ids=lambda config: config.id
)
def test_accumulation_equals_one_large_batch(config: StepConfig, curves: Curves) -> None:
    whole = replace(config, batch=config.batch * config.accumulation, accumulation=1)
    found = difference(curves[config].curve, curves[whole].curve, SAME[config.dtype])
    judge(found, "look at the division of the loss by the accumulation")


@each_config
def test_equals_its_stored_curve(
    config: StepConfig,
    curves: Curves,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, object], None],
) -> None:
    curve = curves[config].curve
    path = baseline_path(BASELINES, config)
    if pytestconfig.getoption("--update-baselines", default=False):
        save_baseline(path, readable_baseline(path, config).with_curve(curve))
        record_property("baseline", "updated")
        return
    stored = load_baseline(path, config)
    if stored is None:
        record_property("baseline", "missing")
        pytest.fail(f"expected a stored curve at {path.name}, found none\n  mend: {UPDATE}", pytrace=False)
    expected = stored.expected(curve.environment)
    record_property("baseline", "stale" if expected.stale else "current")
    record_property("final_loss", curve.losses[-1])
    if expected.stale:
        warnings.warn(
            f"{config.id}: no stored curve of this environment ({expected.stale}); compared loosely. "
            f"To store one: {UPDATE}",
            stacklevel=1,
        )
    judge(difference(curve, expected.curve, expected.tolerance), f"if it is meant: {UPDATE}")


def test_every_stored_curve_is_used() -> None:
    unused = {path.name for path in BASELINES.glob("*.json")} - {f"{config.id}.json" for config in CONFIGS}
    judge(
        f"stored curves of no configuration: {', '.join(sorted(unused))}" if unused else None,
        f"git rm {' '.join(f'baselines/loss/{name}' for name in sorted(unused))}",
    )
