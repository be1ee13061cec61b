"""Seconds that were measured many times: whether the card had settled, how far they spread, and when they
are refused.

A card that begins to work is up to 22 % faster than it stays (a burst, before power and temperature have
their say), so a figure counts only where the readings before it had stopped moving.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

#: The last readings of the warm-up lie within this of each other, relative to the least.
SETTLED_WITHIN = 0.02
#: So many of them, and as many before: the two halves must not drift apart by more than ``DRIFT_WITHIN``.
WINDOW = 4
DRIFT_WITHIN = 0.01
#: From the 10th to the 90th percentile, relative to the median. More is noise, and refused.
SPREAD_LIMIT = 0.10
#: Fewer readings say nothing about their spread.
LEAST_SAMPLES = 8


class Seconds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Many readings of the same thing, in seconds each.

    Attributes:
        samples: how many readings.
        lower_s, upper_s: the 10th and the 90th percentile.
    """

    samples: int
    median_s: float
    lower_s: float
    upper_s: float
    least_s: float
    most_s: float

    @property
    def spread(self) -> float:
        """From the 10th to the 90th percentile, relative to the median; infinite where that is 0."""
        return (self.upper_s - self.lower_s) / self.median_s if self.median_s > 0 else math.inf

    @classmethod
    def of(cls, readings: Sequence[float]) -> Seconds:
        """
        Raises:
            ValueError: there are no readings, or one is no finite number of at least 0.
        """
        if not readings or not all(math.isfinite(each) and each >= 0 for each in readings):
            raise ValueError(f"expected readings in seconds, found {list(readings)[:5]}")
        return cls(
            samples=len(readings),
            median_s=quantile(readings, 0.5),
            lower_s=quantile(readings, 0.1),
            upper_s=quantile(readings, 0.9),
            least_s=min(readings),
            most_s=max(readings),
        )


class Load(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What NVML said of the card while it worked; None: it did not say.

    Attributes:
        power_w: mean board power, from the energy counter where there is one, else of the readings.
        sm_mhz, memory_mhz: medians of the clocks.
        temperature_c: the highest.
        power_capped: the power limit held the clock down, which is what a long run meets, too.
        slowed_by: what else held it down; such seconds are of a card that is not well.
    """

    power_w: float | None = None
    sm_mhz: float | None = None
    memory_mhz: float | None = None
    temperature_c: int | None = None
    power_capped: bool = False
    slowed_by: tuple[str, ...] = ()


def quantile(values: Sequence[float], fraction: float) -> float:
    """With straight lines between the values, as numpy has it by default."""
    ordered = sorted(values)
    place = fraction * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    return min(max(low + (high - low) * (place - below), low), high)  # rounding must not leave the two


def is_settled(readings: Sequence[float]) -> bool:
    """Whether the last of them have stopped moving: neither scattered nor still drifting."""
    last = readings[-2 * WINDOW :]
    if len(last) < 2 * WINDOW or min(last) <= 0:
        return False
    newest = last[-WINDOW:]
    if max(newest) > min(newest) * (1 + SETTLED_WITHIN):
        return False
    before, after = quantile(last[:WINDOW], 0.5), quantile(newest, 0.5)
    return abs(after - before) <= DRIFT_WITHIN * before


def why_refused(seconds: Seconds, *, settled: bool, load: Load | None) -> str:
    """Why they are no measurement of a card that works steadily; empty where they are."""
    if seconds.samples < LEAST_SAMPLES:
        return f"{seconds.samples} readings, expected at least {LEAST_SAMPLES}"
    if seconds.median_s <= 0:
        return "no time passed"
    if load is not None and load.slowed_by:
        return f"the card was slowed down: {', '.join(load.slowed_by)}"
    if not settled:
        return "the speed had not settled when the warm-up ended"
    if seconds.spread > SPREAD_LIMIT:
        return (
            f"noisy: {seconds.spread:.0%} from the 10th to the 90th percentile, expected {SPREAD_LIMIT:.0%}"
        )
    return ""
