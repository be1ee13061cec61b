"""One workload timed: warmed until its speed has settled, then read many times. Knows no torch.

A stopwatch says how time is measured, so that tests can bring a card whose clock falls as it gets warm.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nanocheck.core.calibration import Timing
from nanocheck.core.steadiness import LEAST_SAMPLES, Seconds, is_settled

#: A reading is so long: far above what CUDA events resolve (half a microsecond).
READING_S = 0.02
MOST_CALLS = 2000
#: The host's queue holds some thousand launches; up to so many it does not wait for the card.
ISSUED_CALLS = 50
_MOST_SAMPLES = 60


class Stopwatch(Protocol):
    """How time is measured."""

    def readings(self, call: Callable[[], Any], calls: int, count: int) -> Sequence[float]:
        """``count`` readings one after the other, each of ``calls`` calls, in seconds a call."""
        ...

    def issue(self, call: Callable[[], Any], calls: int) -> float | None:
        """Seconds that the host needs to issue a call; None where the host is what is timed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long a workload may take, in seconds.

    Attributes:
        least_warm_s: warm-up in any case. most_warm_s: then it ends, settled or not.
        sample_s: the readings that count.
    """

    least_warm_s: float
    most_warm_s: float
    sample_s: float


#: Power and temperature need longer to have their say than caches and clocks.
USUAL = Effort(least_warm_s=0.4, most_warm_s=3.0, sample_s=0.8)
HEATING = Effort(least_warm_s=1.0, most_warm_s=4.0, sample_s=1.0)
#: The first one, on a card that was cold.
FIRST = Effort(least_warm_s=4.0, most_warm_s=12.0, sample_s=1.5)
#: Where nothing computes, nothing warms up.
REHEARSAL = Effort(least_warm_s=0.0, most_warm_s=0.0, sample_s=0.0)


def time_of(
    call: Callable[[], Any],
    watch: Stopwatch,
    effort: Effort,
    *,
    parts: int = 1,
    now: Callable[[], float] = time.monotonic,
) -> Timing:
    """Seconds of one call, or of each of the ``parts`` in it."""
    began = now()
    watch.readings(call, 1, 1)  # loads kernels, makes workspaces
    first = watch.readings(call, 1, 1)[0]
    calls = max(1, math.ceil(min(READING_S / first, MOST_CALLS))) if first > 0 else 1
    warm: list[float] = []
    while True:
        warm += watch.readings(call, calls, 1)
        warm_s, settled = now() - began, is_settled(warm)
        if (settled and warm_s >= effort.least_warm_s) or warm_s >= effort.most_warm_s:
            break
    wanted = effort.sample_s / (calls * warm[-1]) if warm[-1] > 0 else 0.0
    count = max(LEAST_SAMPLES, round(min(wanted, _MOST_SAMPLES)))
    readings = watch.readings(call, calls, count)
    issue = watch.issue(call, min(calls, ISSUED_CALLS))
    return Timing(
        seconds=Seconds.of([each / parts for each in readings]),
        calls=calls,
        burst_s=warm[0] / parts,
        warm_s=round(warm_s, 2),
        settled=settled,
        issue_s=None if issue is None else issue / parts,
    )
