"""How long a step takes on the real card, once its speed has settled. Shown, and not compared with memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from nanocheck.core import step_time as core
from nanocheck.core.result import Provenance
from nanocheck.core.steadiness import LEAST_SAMPLES, Load, Seconds, is_settled, why_refused
from nanocheck.verify.observed import Value

#: The steps of a case are timed for so long, model and first step not counted.
LIMIT_S = 12.0
#: The warm-up takes so long in any case, and so many steps count after it.
_LEAST_WARM_S, _STEPS = 1.0, 20
#: Why the virtual card has no seconds.
COMPUTES_NOTHING = "the virtual card computes nothing"


class Modelled(Value, frozen=True, kw_only=True):
    """A step by the model of time, from kernels that the virtual card recorded.

    Attributes:
        seconds: with this host, whose time for the launches was measured (``host_s``).
        low_s, high_s: between them lie 80 % of real steps; None where the model gives no interval.
        decided_by: card, host or floor.
    """

    seconds: float
    low_s: float | None = None
    high_s: float | None = None
    host_s: float | None = None
    decided_by: str

    @classmethod
    def of(cls, found: core.StepTime) -> Modelled:
        """What is kept of an estimate."""
        span = found.interval
        return cls(
            seconds=found.seconds,
            low_s=None if span is None else span.low,
            high_s=None if span is None else span.high,
            host_s=found.host_seconds,
            decided_by=found.decided_by,
        )

    @property
    def is_ordered(self) -> bool:
        """Whether it can be."""
        return self.seconds > 0 and (self.low_s or 0.0) <= (self.high_s or math.inf)


class StepTime(Value, frozen=True, kw_only=True):
    """An optimizer step of a case.

    Attributes:
        provenance: what the process that ran found out.
        seconds: of the steps after the warm-up; None where nothing was timed.
        settled: the speed had stopped moving before them.
        load: the card's state from the first step to the last.
        refused: why the seconds do not count; empty where they do.
        modelled: what the model of time says of the same step; None: not asked, or nothing recorded.
    """

    provenance: Provenance
    seconds: Seconds | None = None
    settled: bool = False
    load: Load | None = None
    refused: str = ""
    modelled: Modelled | None = None

    @property
    def off(self) -> float | None:
        """By which part of what was measured the model is off, negative where it is too fast; None where
        there is nothing that counts to hold it against."""
        if self.seconds is None or self.refused or self.modelled is None:
            return None
        return self.modelled.seconds / self.seconds.median_s - 1

    @property
    def contradiction(self) -> str:
        """What cannot be of it; empty where nothing is."""
        if self.modelled is not None and not self.modelled.is_ordered:
            return "a modelled step without length, or an interval that ends before it begins"
        if self.seconds is None:
            return "" if self.refused else "no seconds, and no word why"
        if self.provenance is not Provenance.MEASURED:
            return "seconds that no real card measured"
        why = why_refused(self.seconds, settled=self.settled, load=self.load)
        return f"not refused: {why}" if why and not self.refused else ""


class StepReadings:
    """Readings of step after step.

    Args:
        limit_s: for all of them. now: seconds on a clock that only goes forward; another one in tests.
    """

    def __init__(self, limit_s: float = LIMIT_S, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began = now()
        self._limit_s = limit_s
        self._warm: list[float] = []
        self._counted: list[float] = []
        self.settled = False

    def add(self, seconds: float) -> None:
        """A step took so long."""
        if self.settled:
            self._counted.append(seconds)
            return
        self._warm.append(seconds)
        self.settled = is_settled(self._warm) and self._now() - self._began >= _LEAST_WARM_S

    @property
    def enough(self) -> bool:
        return len(self._counted) >= _STEPS or self._now() - self._began >= self._limit_s

    def seconds(self) -> Seconds | None:
        """Of the steps that count; where the speed never settled, of the last ones, to show how it moved."""
        found = self._counted if self.settled else self._warm[-2 * LEAST_SAMPLES :]
        return Seconds.of(found) if found else None
