"""Phases from marks and stacks, as a pure function of a journal."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.attribution.event_reader import Mark, Observation
from nanocheck.attribution.phases import PHASES, find_bands

MODULE, SCRIPT, NONE = 0, 1, -1
STACKS = [(("torch/nn/modules/module.py", 1, "_call_impl"),), (("train.py", 3, "<module>"),)]


def seen(*story: Any) -> Observation:
    """A journal from a story: a stack number is an allocation, a word is a mark."""
    found = Observation(stacks=list(STACKS))
    allocations = 0
    for each in story:
        if isinstance(each, str):
            found.marks.append(Mark(each, allocations, None, {}))
        else:
            found.events.append(("a", 512 * allocations, 512, each))
            allocations += 1
    return found


def phases(*story: Any) -> list[tuple[str, int]]:
    """Phase and step of every allocation."""
    bands = find_bands(seen(*story))
    return [(band.phase, band.step) for band in bands for _ in range(band.first, band.last + 1)]


STEP = (SCRIPT, MODULE, "backward+", NONE, "backward-", SCRIPT, "optimizer+", SCRIPT, "optimizer-")


def test_two_steps() -> None:
    first = [("build", 0), ("forward", 0), ("backward", 0), ("optimizer", 0), ("optimizer", 0)]
    # The second step's batch is made before its forward is known to begin: it is what lies between.
    second = [("optimizer", 0), ("forward", 1), ("backward", 1), ("optimizer", 1), ("optimizer", 1)]
    assert phases(*STEP, *STEP) == first + second


def test_accumulation_is_one_step() -> None:
    micro = (MODULE, "backward+", NONE, "backward-")
    assert {step for _, step in phases(*micro, *micro, "optimizer+", SCRIPT, "optimizer-")} == {0}


def test_what_a_backward_follows_was_a_forward_without_any_module() -> None:
    assert phases("backward-", SCRIPT, SCRIPT, "backward+", NONE, "backward-") == [
        ("forward", 0),
        ("forward", 0),
        ("backward", 0),
    ]


def test_a_model_left_in_eval_mode_still_trains() -> None:
    assert [phase for phase, _ in phases("evaluation+", SCRIPT, MODULE, "backward+", NONE, "backward-")] == [
        "build",
        "forward",
        "backward",
    ]


def test_a_closure_runs_forward_and_backward_inside_the_optimizer() -> None:
    step = ("optimizer+", MODULE, "backward+", NONE, "backward-", SCRIPT, "optimizer-")
    assert phases(*step, *step) == [
        *(("forward", 0), ("backward", 0), ("optimizer", 0)),
        *(("forward", 1), ("backward", 1), ("optimizer", 1)),
    ]


def test_evaluation_between_steps_belongs_to_the_step_before() -> None:
    story = phases(*STEP, "evaluation+", MODULE, "evaluation-", *STEP)
    assert story[5] == ("evaluation", 0)
    assert story[7] == ("forward", 1)


@given(
    st.lists(
        st.sampled_from(
            [MODULE, SCRIPT, NONE]
            + [
                f"{name}{sign}"
                for name in ("backward", "optimizer", "evaluation", "checkpoint")
                for sign in "+-"
            ]
            + ["step"]
        ),
        max_size=60,
    )
)
def test_whatever_the_marks_every_event_has_one_phase(story: list[Any]) -> None:
    observation = seen(*story)
    bands = find_bands(observation)
    assert [index for band in bands for index in range(band.first, band.last + 1)] == list(
        range(len(observation.events))
    )
    assert {band.phase for band in bands} <= set(PHASES)
    assert [band.step for band in bands] == sorted(band.step for band in bands)
