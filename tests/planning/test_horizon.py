"""From one step to a whole run: what adds up, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nanocheck.core.errors import RequestError
from nanocheck.core.plan import Goal, Prices
from nanocheck.core.result import Provenance
from nanocheck.core.step_time import Interval, StepTime
from nanocheck.planning.horizon import horizon

STEP = StepTime(
    gpu="rtx4070",
    seconds=2.0,
    card_seconds=2.0,
    host_seconds=None,
    tokens_per_second=None,
    operations=1e12,
    floor_operations=1.0,
    floor_memory=0.5,
    mfu_exact=0.5,
    mfu_palm=None,
    parts=(),
    kinds=(),
    decided_by="card",
    bottleneck="The card decides.",
    interval=Interval(low=1.5, high=3.0, level=0.8, groups=20),
    no_interval=None,
)


def test_a_day_at_a_known_rate() -> None:
    found = horizon(STEP, 43_200, limit_w=100.0, prices=Prices(kwh=0.5, card_hour=2.0, system_factor=1.5))
    assert found.seconds.estimate == 86_400
    assert (found.seconds.low, found.seconds.high) == (64_800, 129_600)
    assert found.at_peak_seconds == 43_200
    assert found.rent is not None
    assert found.rent.estimate == 48
    assert found.electricity is not None
    assert found.electricity.estimate == pytest.approx(found.kwh.estimate / 2)
    # 24 h at 0.78 to 1 times 100 W, times the whole machine's 1.5
    assert 2.4 * 1.5 * 0.78 < found.kwh.estimate < 2.4 * 1.5
    assert found.provenance is Provenance.MODELLED


@given(
    steps=st.integers(1, 10**9),
    watts=st.floats(10, 2000),
    factor=st.floats(1, 3),
    low=st.floats(0.5, 1),
    high=st.floats(1, 2),
    around=st.booleans(),
)
def test_a_run_is_its_steps_and_a_span_holds_its_estimate(
    steps: int, watts: float, factor: float, low: float, high: float, around: bool
) -> None:
    span = Interval(low=2 * low, high=2 * high, level=0.8, groups=20) if around else None
    step = replace(STEP, interval=span)
    found = horizon(step, steps, limit_w=watts, prices=Prices(system_factor=factor))
    assert found.seconds.estimate == pytest.approx(steps * 2.0)
    assert found.at_peak_seconds <= found.seconds.estimate
    assert (found.seconds.low is None) is not around
    assert found.kwh.low is not None
    assert found.kwh.high is not None
    assert (
        found.kwh.low
        < found.kwh.estimate
        < found.kwh.high
        <= factor * watts * steps * 2 * high / 3.6e6 * 1.001
    )
    assert found.electricity is found.rent is None


@given(tokens=st.floats(1, 1e15), each=st.integers(1, 10**9))
def test_the_last_step_is_whole(tokens: float, each: int) -> None:
    steps = Goal(tokens=tokens).optimizer_steps(each)
    assert steps is not None
    assert steps * each >= tokens or math.isclose(steps * each, tokens)
    assert (steps - 1) * each < tokens
    assert Goal(tokens=tokens).optimizer_steps(None) is None
    assert Goal(steps=7).optimizer_steps(None) == 7


@pytest.mark.parametrize(
    "wrong",
    [{}, {"tokens": 1.0, "steps": 1}, {"tokens": 0.0}, {"tokens": math.nan}, {"tokens": 1e30}, {"steps": 0}],
)
def test_no_goal_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError):
        Goal(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"kwh": -1.0}, {"kwh": math.inf}, {"card_hour": math.nan}, {"system_factor": 0.9}]
)
def test_prices_that_are_none_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(RequestError):
        Prices(**wrong)
