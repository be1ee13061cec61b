"""When seconds count: settled, and neither noisy nor of a card that was slowed down."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nanocheck.core.steadiness import (
    LEAST_SAMPLES,
    SPREAD_LIMIT,
    WINDOW,
    Load,
    Seconds,
    is_settled,
    quantile,
    why_refused,
)

READING = st.floats(1e-7, 10.0)
READINGS = st.lists(READING, min_size=1, max_size=80)


@given(READINGS)
def test_a_summary_is_in_order_and_its_median_is_the_median(readings: list[float]) -> None:
    found = Seconds.of(readings)
    assert found.least_s <= found.lower_s <= found.median_s <= found.upper_s <= found.most_s
    assert found.median_s == pytest.approx(statistics.median(readings))
    assert found.samples == len(readings)
    assert sum(each < found.lower_s for each in readings) <= 0.1 * len(readings) + 1


@given(READINGS, st.floats(0.01, 100.0))
def test_the_spread_has_no_unit(readings: list[float], factor: float) -> None:
    one, other = Seconds.of(readings), Seconds.of([factor * each for each in readings])
    assert other.spread == pytest.approx(one.spread, rel=1e-6, abs=1e-9)


@given(st.lists(READING, min_size=1), st.floats(0, 1))
def test_a_quantile_lies_among_the_values_and_does_not_hang_on_their_order(
    values: list[float], fraction: float
) -> None:
    found = quantile(values, fraction)
    assert min(values) <= found <= max(values)
    assert found == quantile(values[::-1], fraction)


@pytest.mark.parametrize("wrong", [[], [math.nan], [math.inf], [-1.0]])
def test_what_is_no_reading_is_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="expected readings"):
        Seconds.of(wrong)


@given(READING, st.lists(READING, max_size=20))
def test_whatever_came_before_a_speed_that_stays_is_settled(level: float, before: list[float]) -> None:
    assert is_settled([*before, *[level] * 2 * WINDOW])


@given(READING, st.floats(0.006, 0.5), st.integers(2 * WINDOW, 30))
def test_a_card_that_still_gets_slower_or_faster_has_not_settled(
    level: float, step: float, count: int
) -> None:
    """From 0.6 % a reading on, in either direction."""
    slower = [level * (1 + step) ** index for index in range(count)]
    assert not is_settled(slower)
    assert not is_settled(slower[::-1])


@given(READING, st.integers(0, WINDOW - 1), st.floats(1.03, 3.0))
def test_one_slow_reading_among_the_last_is_not_settled(level: float, place: int, by: float) -> None:
    readings = [level] * 2 * WINDOW
    readings[-1 - place] *= by
    assert not is_settled(readings)


@given(st.lists(READING, max_size=2 * WINDOW - 1))
def test_too_few_readings_have_not_settled(readings: list[float]) -> None:
    assert not is_settled(readings)


@given(st.lists(READING, min_size=LEAST_SAMPLES, max_size=60))
def test_noise_is_refused_from_the_stated_spread_on(readings: list[float]) -> None:
    found = Seconds.of(readings)
    why = why_refused(found, settled=True, load=None)
    assert why.startswith("noisy") == (found.spread > SPREAD_LIMIT)
    assert bool(why) == (found.spread > SPREAD_LIMIT)


@given(st.lists(st.sampled_from(("too hot (hardware)", "power brake")), unique=True), st.booleans())
def test_heat_and_an_unsettled_speed_are_refused_and_the_power_limit_is_not(
    slowed: list[str], settled: bool
) -> None:
    steady = Seconds.of([1.0] * LEAST_SAMPLES)
    load = Load(power_w=200.0, power_capped=True, slowed_by=tuple(slowed))
    why = why_refused(steady, settled=settled, load=load)
    assert bool(why) == (bool(slowed) or not settled)
    assert all(word in why for word in slowed)


@given(st.integers(1, LEAST_SAMPLES - 1))
def test_few_readings_are_refused(count: int) -> None:
    assert str(count) in why_refused(Seconds.of([1.0] * count), settled=True, load=None)


@given(st.lists(READING, min_size=LEAST_SAMPLES, max_size=30))
def test_no_time_at_all_is_refused(readings: list[float]) -> None:
    assume(readings)
    assert why_refused(Seconds.of([0.0] * len(readings)), settled=True, load=None)
