"""Integers and booleans that are known, and sizes that hang on values: in children on the virtual GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from known_value_tasks import STEPS

Run = Callable[..., Any]
#: Where the fixture ``run`` finds what it calls.
TASKS = "known_value_tasks"

#: Each example is a process, and shrinking would take minutes.
FEW = settings(
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@st.composite
def tables(draw: st.DrawFn) -> list[list[int]]:
    """Token ids, labels with -100, masks of zeros and ones: rows of one length."""
    rows, columns = draw(st.integers(2, 4)), draw(st.integers(2, 9))
    value = draw(st.sampled_from([st.integers(0, 1), st.sampled_from([-100, 0, 1, 5]), st.integers(-9, 9)]))
    return draw(st.lists(st.lists(value, min_size=columns, max_size=columns), min_size=rows, max_size=rows))


COMPUTED = {"wrong": {}, "made up": 0, "unknown sizes": 0}

steps = st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(-3, 3)), min_size=1, max_size=8)


@settings(FEW, max_examples=3)
@given(programs=st.lists(st.fixed_dictionaries({"rows": tables(), "steps": steps}), min_size=15, max_size=25))
def test_programs_over_known_integers_say_what_the_cpu_says(run: Run, programs: list[dict[str, Any]]) -> None:
    assert run("programs", programs) == COMPUTED


def test_every_step_of_the_programs_is_computed(run: Run) -> None:
    """Each alone, so that none is left out by chance."""
    rows = [[3, -100, 0, 7], [1, 1, -2, 5], [0, 0, 9, -100]]
    assert run("programs", [{"rows": rows, "steps": [(name, 1)]} for name in STEPS]) == COMPUTED


@settings(FEW, max_examples=3)
@given(labels=st.integers(1, 40).flatmap(lambda n: st.permutations([1] * n + [-100] * (40 - n))))
def test_a_peak_is_that_of_the_sizes_put_in_by_hand_and_never_less(run: Run, labels: list[int]) -> None:
    table = [labels[:20] * 8, labels[20:] * 8]
    by_hand = run("selection", {"labels": table, "by": "hand"})
    known = run("selection", {"labels": table, "by": "mask"})
    lengths = run("selection", {"labels": table, "by": "lengths"})
    worst = run("selection", {"labels": table, "by": "mask", "known": False})
    least = run("selection", {"labels": table, "by": "mask", "known": False, "sizes": "least"})
    assert known["peak"] == lengths["peak"] == by_hand["peak"]
    assert least["peak"] <= known["peak"] <= worst["peak"]
    assert (known["decided"], known["unbounded"], known["place"]) == (0, 0, None)
    # Two masks in each of three steps; nothing goes back through them.
    assert worst["decided"] == least["decided"] == 6
    assert "known_value_tasks.py" in worst["place"]


COMMON = {"runs": [1000], "rows": [30, 4], "flags": [2]}
ALL = {
    "nonzero": [1000, 1], "mask": [1000], "select": [1000], "unique": [1000], "counted": [1000],
    "inverse": [1000], "expert": [1280], "slice of expert": [640], "hot": [1280],
}  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "shapes"),
    [
        ("worst", COMMON | ALL),
        ("balanced", COMMON | ALL | {"expert": [160], "slice of expert": [80], "hot": [160]}),
        ("least", {name: [1, *shape[1:]] for name, shape in (COMMON | ALL).items()}),
    ],
)
def test_unknown_sizes_are_what_the_policy_says(run: Run, policy: str, shapes: dict[str, list[int]]) -> None:
    found = run("sizes", policy)
    assert found["shapes"] == shapes
    assert found["decided"] == len(shapes)
    assert (found["made up"], found["unbounded"], found["policy"]) == (0, 1, policy)


def test_what_was_written_since_is_not_known_and_what_was_not_is(run: Run) -> None:
    found = run("spoiled")
    assert found == {
        "before": 0,
        "bernoulli": 64,
        "random": 1000,
        "in place of what was known": 1000,
        "part": 256,
        "kept": 2,
        "large": [3 << 20, 3 << 20],
        "half": 3 << 18,
        "captured": 1,
    }


def test_modes_threads_and_compiled_functions_see_the_same_and_nothing_of_ours_is_compiled(run: Run) -> None:
    found = run("modes")
    compiled = found.pop("compiled")
    assert found == dict.fromkeys(["inference", "autocast", "mode", "thread"], COMPUTED)
    assert compiled == [[2, 8], [3, 8], ["cuda"]]


def test_a_number_beside_a_tensor_stays_one(run: Run) -> None:
    assert run("numbers") == {
        "searchsorted": [1, []],
        "bucketize": [1, []],
        "isin": [True, [False, False, True]],
        "dtypes": ["torch.int32", "torch.int32", "torch.float32"],
        "gradient": [3],
    }
