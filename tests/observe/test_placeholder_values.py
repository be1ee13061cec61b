"""What a script reads from the virtual GPU: its own values, ones, and healthy answers. In children."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nanocheck.core.gpus import find_gpu
from nanocheck.core.units import MIB
from nanocheck.observe import placeholder_values

Run = Callable[..., Any]
#: Where the fixture ``run`` finds what it calls.
TASKS = "value_tasks"


def test_what_the_program_wrote_reads_as_it_is_also_after_kernels_read_it(run: Run) -> None:
    assert run("written") == {
        "zero": 0,
        "tokens": [3, 1, 4, 1, 5],
        "one": 4,
        "host": [3, 1, 4, 1, 5],
        "copied": [3, 1, 4, 1, 5],
        "step": [0, 1, 2],
        "compared": [True, False, True, False],
        "large": [2**64 - 1] * 2,
        "made up": 0,
    }


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_what_a_kernel_would_have_written_reads_as_one_and_never_as_a_leftover(run: Run, dtype: str) -> None:
    assert run("computed", dtype) == {"wrong": {}, "made up": True}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "float64"])
def test_health_checks_say_that_all_is_well_and_loops_end(run: Run, dtype: str) -> None:
    assert run("health", dtype) == {
        "nan": [False, False],
        "inf": [False, False],
        "finite": [True, True],
        "broken": False,
        "equal": [True, True],
        "compare": [False, False, False, True],
        "not": True,
        "rounds": 0,
        "clipped": 1.0,
    }


def test_a_ratio_of_sums_on_the_gpu_is_a_number(run: Run) -> None:
    assert 0 < run("ratio") < 10


def test_what_is_printed_is_a_placeholder_and_no_size_of_it_is_one_by_itself(run: Run) -> None:
    printed, sizes = run("text")
    assert "1." in printed
    assert sizes == 0


def test_the_first_place_is_the_scripts_own_line(run: Run) -> None:
    assert run("place") == [None, "/somewhere/train.py:1", 1]


def test_other_tensors_behave_as_before(run: Run) -> None:
    assert run("elsewhere") == {
        "cpu": [[0.0, 2.0], 0.0],
        "fake": ["FakeTensor", "cpu"],
        "fake item": "DataDependentOutputException",
        "meta": "torch.float16",
        "vmap": [2.0, 2.0, 2.0],
        "same": True,
        "gradient": True,
        "compiled": [3],
    }


@pytest.mark.parametrize(
    ("compiled", "fused"),
    [(False, False), (False, True), pytest.param(True, True, marks=pytest.mark.slow)],
)
def test_no_allocation_of_a_training_step_changes(run: Run, compiled: bool, fused: bool) -> None:
    payload = {"compiled": compiled, "fused": fused}
    if compiled:  # Inductor allocates a little more while its cache is cold
        run("training", {**payload, "policy": False})
    without = run("training", {**payload, "policy": False})
    with_policy = run("training", {**payload, "policy": True})
    # Reads of values that only the second run makes take nothing from the card.
    assert with_policy == without
    assert without["states"] == 4
    assert without["scale"] == 65536.0


def test_a_read_in_a_captured_region_is_still_an_error(run: Run) -> None:
    assert "captur" in run("captured")


def test_kernels_that_inductor_never_compiled_overwrite_too(run: Run) -> None:
    assert run("compiled_kernels") == [[1.0, 1.0, [1.0, 2.0, 3.0], 0.0]] * 3


@pytest.mark.parametrize("expandable", [False, True])
def test_the_peak_is_what_the_card_showed_at_its_highest(run: Run, expandable: bool) -> None:
    card = find_gpu("rtx4070")
    start, peak, (free, total) = run("peak", expandable=expandable)
    assert start == 0, "no context before the first use"
    assert 1 << 30 <= peak - card.context_bytes <= (1 << 30) + 20 * MIB  # a segment grows by whole pieces
    assert total - free == card.context_bytes


def test_on_no_virtual_gpu_nothing_is_installed() -> None:
    import torch

    before = torch.Tensor.to
    assert not placeholder_values.install()
    assert torch.Tensor.to is before
    assert (
        placeholder_values.placeholders(),
        placeholder_values.placeholder_sizes(),
        placeholder_values.first_place(),
    ) == (0, 0, None)


@pytest.mark.parametrize(
    "bounds",
    [
        {"std": 0.02},  # a hundred deviations away: nothing is drawn again
        {"std": 0.02, "a": -0.06, "b": 0.06},
        {"std": 1.0, "a": 2.0, "b": 4.0},  # a tail, drawn evenly and accepted by chance
    ],
)
def test_an_initialisation_that_draws_again_ends_as_chance_would(run: Run, bounds: dict[str, float]) -> None:
    """From torch 2.14 on; older ones ask nothing, which is equal too."""
    times = run("drawn_again", bounds)
    assert times["cuda"] == times["mode"]
    # Chance: on the host the last few numbers of the tail take some rounds more or fewer.
    assert times["cuda"] == pytest.approx(times["cpu"], rel=0.4)
