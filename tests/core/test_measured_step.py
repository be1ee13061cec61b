"""What of a script's steps on a real card counts as its time, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.measured_step import COMPUTES_NOTHING, LEAST_WARM_S, MeasuredStep, StepReadings
from nanocheck.core.steadiness import LEAST_SAMPLES, Load


def judged(*seconds: float, load: Load | None = None) -> MeasuredStep:
    return MeasuredStep.of(StepReadings(seconds=seconds, steps=len(seconds), load=load), virtual=False)


@given(st.floats(0.02, 2.0), st.floats(0.05, 0.3), st.integers(1, 12))
def test_the_burst_of_the_warm_up_is_left_out(steady_s: float, burst: float, steps: int) -> None:
    warm = [steady_s * (1 - burst * (1 - at / steps)) for at in range(steps)]
    found = judged(*warm, *[steady_s] * 80)
    assert found.refused == ""
    assert found.seconds is not None
    assert found.seconds.median_s == pytest.approx(steady_s, rel=0.005)
    assert found.warm_up >= min(steps, 4)
    assert found.warm_up + found.seconds.samples == steps + 80
    assert sum((warm + [steady_s] * 80)[: found.warm_up]) >= LEAST_WARM_S


@pytest.mark.parametrize(
    ("seconds", "load"),
    [
        ([0.5 * 1.02**at for at in range(40)], None),
        ([0.5] * 8 + [0.5, 0.6] * 20, None),
        ([0.5] * (8 + LEAST_SAMPLES - 1), None),
        ([0.5] * 40, Load(slowed_by=("too hot (hardware)",))),
    ],
    ids=["never settles", "noisy", "too few", "slowed by heat"],
)
def test_what_is_no_steady_card_is_shown_and_does_not_count(seconds: list[float], load: Load | None) -> None:
    found = judged(*seconds, load=load)
    assert found.refused
    assert found.seconds is not None
    assert judged(*[0.5] * 40).refused == ""


def test_the_virtual_card_has_no_seconds_whatever_stands_in_the_journal() -> None:
    found = MeasuredStep.of(StepReadings(seconds=(0.001,) * 40, steps=40), virtual=True)
    assert (found.seconds, found.refused) == (None, COMPUTES_NOTHING)


def test_a_script_that_ends_at_once_says_so_and_no_time_is_no_reading() -> None:
    assert judged().seconds is None
    assert judged().refused
    with pytest.raises(ValueError, match="readings"):
        judged(-1.0, 0.5)
