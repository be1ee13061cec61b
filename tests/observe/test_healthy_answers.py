"""Numbers made of "is anything infinite?", as overflow checks make them: what finite numbers would give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from healthy_tasks import CHECKS, DTYPES, REDUCTIONS, SHAPES, STEPS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

Run = Callable[..., Any]
#: Where the fixture ``run`` finds what it calls.
TASKS = "healthy_tasks"

#: Each example is a process.
FEW = settings(
    deadline=None,
    max_examples=2,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

PROGRAMS = st.fixed_dictionaries(
    {
        "check": st.sampled_from(CHECKS),
        "dtype": st.sampled_from(DTYPES),
        "shape": st.sampled_from(SHAPES),
        "reduction": st.sampled_from(sorted(REDUCTIONS)),
        "steps": st.lists(st.sampled_from(sorted(STEPS)), max_size=5),
    }
)


@settings(FEW)
@given(programs=st.lists(PROGRAMS, min_size=60, max_size=80))
def test_a_number_made_of_health_checks_is_that_of_finite_numbers(
    run: Run, programs: list[dict[str, Any]]
) -> None:
    assert run("programs", programs) == []


def test_deepspeeds_checks_find_no_overflow(run: Run) -> None:
    """Its two ways (``has_inf_or_nan`` added up, ``inf_or_nan_tracker``) for every dtype."""
    adds = ("not", "counted", "bool", "byte", "first")
    tracks = ("tracked", "clone", "byte")
    checks = [("isfinite", "all", adds), ("isinf", "any", tracks), ("isnan", "any", tracks)]
    several = [
        {"check": check, "reduction": reduction, "steps": steps, "dtype": dtype, "shape": SHAPES[-1]}
        for check, reduction, steps in checks
        for dtype in DTYPES
    ]
    assert run("programs", several) == []


def test_what_follows_from_no_finite_number_stays_as_it_was(run: Run) -> None:
    assert run("others") == {
        "count of a comparison": 1,
        "beside what was written": 50,
        "of what was written": [True, 0],
        "made up": True,
    }
