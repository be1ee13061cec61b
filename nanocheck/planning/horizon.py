"""From one step to the whole run: pure arithmetic."""

from __future__ import annotations

from nanocheck.core.plan import Horizon, Prices, Span
from nanocheck.core.step_time import StepTime
from nanocheck.timing.energy import HIGH, LOW, board_watts

_HOUR = 3600.0
#: Joules.
_KWH = 3.6e6


def horizon(step: StepTime, steps: int, *, limit_w: float, prices: Prices) -> Horizon:
    """
    Args:
        steps: optimizer steps of the run.
        limit_w: watts that the board may draw.
    """
    around = step.interval
    one = Span(
        estimate=step.seconds,
        low=None if around is None else around.low,
        high=None if around is None else around.high,
    )
    seconds = one.times(steps)
    joules = Span(
        estimate=seconds.estimate * board_watts(step, limit_w),
        low=(seconds.estimate if seconds.low is None else seconds.low) * board_watts(step, limit_w, LOW),
        high=(seconds.estimate if seconds.high is None else seconds.high) * board_watts(step, limit_w, HIGH),
    )
    kwh = joules.times(prices.system_factor / _KWH)
    return Horizon(
        steps=steps,
        seconds=seconds,
        at_peak_seconds=step.floor_operations * steps,
        kwh=kwh,
        electricity=None if prices.kwh is None else kwh.times(prices.kwh),
        rent=None if prices.card_hour is None else seconds.times(prices.card_hour / _HOUR),
    )
