"""Train, evaluate, save, be killed, resume: numbers are the same, and a file is always whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from nanocheck.numerics.cases import SMALL, TEXT, Case, exact_cases, resumed
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import not_finite

if TYPE_CHECKING:
    from nanocheck.pytest_plugin.training_suite import TrainingRuns

KILLS = 24


def test_a_kill_at_any_moment_of_saving_leaves_a_whole_checkpoint(training_runs: TrainingRuns) -> None:
    payload = {"config": SMALL.to_dict(), "text": TEXT, "kills": KILLS}
    found = training_runs.ask("nanocheck.numerics.training.killing:kill_saves", payload)
    assert len(found) == KILLS
    assert [each["refused"] for each in found] == [""] * KILLS
    assert any(each["left"] for each in found), (
        "no kill fell into the middle of a save: this test saw nothing"
    )
    saved = [each["saved"] for each in found]
    assert None not in saved
    assert [each["changed"] for each in found] == [[]] * KILLS


@pytest.mark.parametrize(
    "case", exact_cases(lambda plan: (plan, resumed(plan)))[::2], ids=lambda case: case.id
)
def test_evaluation_in_the_middle_moves_nothing(case: Case, training_runs: TrainingRuns) -> None:
    """A run that evaluates and saves trains on, on the next batch, as its resumed half does."""
    whole, half = (training_runs[plan] for plan in case.plans)
    assert set(whole.evaluation) == {"train", "val"}
    assert not_finite(whole) is None
    assert whole.losses[8:] == half.losses


def test_a_run_that_lowered_its_scale_goes_on_with_it(training_runs: TrainingRuns) -> None:
    config = replace(SMALL, dtype="fp16")
    plan = Plan(config=config, text=TEXT, save_after=8, poison=("inf", 3))
    whole, half = training_runs[plan], training_runs[replace(resumed(plan), poison=None)]
    assert whole.steps[8].scale == whole.steps[0].scale / 2
    assert [step.scale for step in half.steps] == [step.scale for step in whole.steps[8:]]
    assert half.losses == whole.losses[8:]
