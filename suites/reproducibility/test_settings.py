"""Settings that change what is computed without a word: each run says which it had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from nanocheck.numerics.cases import DTYPES, SMALL, TEXT, Case, exact_cases, exact_config
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import Trace
from nanocheck.pytest_plugin.training_suite import TrainingRuns

Runs = Mapping[Plan, Trace]

each_dtype = pytest.mark.parametrize(
    "case",
    [
        Case(id=dtype, plans=(Plan(config=exact_config(dtype, "off"), text=TEXT, save_after=8),))
        for dtype in DTYPES
    ],
    ids=lambda case: case.id,
)


@each_dtype
def test_attention_is_the_backend_that_pytorch_chooses(case: Case, training_runs: TrainingRuns) -> None:
    facts = training_runs[case.plans[0]].facts
    assert facts["attention"] == facts["attention_choice"], "the step silently fell back to another backend"


def test_the_backend_asked_for_is_the_one_that_ran(training_runs: TrainingRuns) -> None:
    """What the test above looks at does change with the backend."""
    assert (
        training_runs[Plan(config=SMALL, text=TEXT, steps=6, attention="math")].facts["attention"] == "math"
    )
    assert (
        training_runs[Plan(config=SMALL, text=TEXT, steps=6, attention="flash")].facts["attention"] == "flash"
    )


@pytest.mark.parametrize(("dtype", "expected"), [("fp32", "off"), ("tf32", "on"), ("bf16", "on")])
def test_tf32_is_on_only_where_it_is_asked_for(
    dtype: str, expected: str, training_runs: TrainingRuns
) -> None:
    plan = Plan(config=replace(SMALL, dtype=dtype), text=TEXT, save_after=8)
    assert training_runs[plan].facts["tf32"] == expected


@pytest.mark.parametrize("case", exact_cases(lambda plan: (plan,)), ids=lambda case: case.id)
def test_logits_have_the_number_format_that_was_asked_for(case: Case, training_runs: TrainingRuns) -> None:
    """What autocast decides: torch 2.9.1 runs a cached bf16 graph for fp16 (benchmarks/autocast_cache.py)."""
    (plan,) = case.plans
    expected = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}[plan.config.dtype]
    assert training_runs[plan].facts["logits"] == expected, "the step silently ran in another number format"


@each_dtype
def test_evaluation_is_in_evaluation_mode_and_training_is_not(
    case: Case, training_runs: TrainingRuns
) -> None:
    facts = training_runs[case.plans[0]].facts
    assert (facts["training_mode"], facts["evaluation_mode"]) == ("train", "eval")
