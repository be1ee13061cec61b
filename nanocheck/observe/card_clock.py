"""The script's own clocks show the card's time, once a model has said how long a step takes there.

The virtual card's launches each take the same time, the model's seconds of a step over the launches of that
step, and whoever waits for the card finds its clock moved on (csrc/base/clock.c).
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

from nanocheck.observe import introspect, relaunch, uncompiled_kernels
from nanocheck.observe.asking import ask

#: How many steps go on by the clock, and the card for the model.
STEPS, CARD = relaunch.CLOCK, "NANOCHECK_RUN_CLOCK_CARD"
_SECONDS = 120


class CardClock:
    """Begins where it is made, at a step's boundary.

    Args:
        seconds: of a step on the card.
        launches: of that step.
        steps: after which it is over.
    """

    def __init__(self, seconds: float, launches: int, steps: int) -> None:
        self._library = ctypes.CDLL(None)
        for name in ("pace", "launches"):
            getattr(self._library, f"nanocheck_clock_{name}").argtypes = [ctypes.c_longlong]
        self._seconds, self._left = seconds, steps
        uncompiled_kernels.launched = self._launched
        uncompiled_kernels.standing = self._library.nanocheck_clock_stand
        self._generated = 0
        self._before = introspect.counters()["launches"]
        self._pace(launches)

    def _launched(self) -> None:
        self._generated += 1
        self._library.nanocheck_clock_launches(1)

    def _pace(self, launches: int) -> None:
        self._library.nanocheck_clock_pace(round(self._seconds * 1e9 / max(launches, 1)))

    def step_ended(self) -> bool:
        """One more step; whether it was the last. The next one is paced by the launches of this one."""
        now = introspect.counters()["launches"]
        self._pace(now - self._before + self._generated)
        self._before, self._generated = now, 0
        self._left -= 1
        return self._left <= 0


def start(folder: str, launches: int) -> tuple[CardClock | None, str]:
    """After a step was recorded in a run's folder; where there is no clock, why.

    Args:
        launches: of the recorded step, those of generated kernels among them.
    """
    steps = int(os.environ.get(STEPS) or 0)
    if not steps or introspect.version() is None:
        return None, ""
    question = {"folder": folder, "pid": os.getpid(), "card": json.loads(os.environ[CARD])}
    tool = os.environ.get(relaunch.TOOL, sys.executable)
    found = ask(tool, "nanocheck.measuring.card_seconds", question, seconds=_SECONDS)
    if "seconds" not in found:
        return None, str(found.get("error"))
    return CardClock(float(found["seconds"]), launches, steps), ""
