"""The script's own clocks show the card's time, once a model has said how long a step takes there.

The virtual card's launches each take the same time, the model's seconds of a step over the launches of that
step, and whoever waits for the card finds its clock moved on (csrc/base/clock.c). Steps that ran before are
made up for: the first wait lasts as long as the card would still have to work for them, so that an average
since the script's first steps, as Trainers print it, is the card's too.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
import time

from nanocheck.observe import introspect, relaunch, uncompiled_kernels
from nanocheck.observe.asking import ask

#: How many steps go on by the clock, and the card for the model.
STEPS, CARD = relaunch.CLOCK, "NANOCHECK_RUN_CLOCK_CARD"
_SECONDS = 120


class Warm:
    """Steps since the first one ended, which compiled and loaded what later ones have."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._steps = 0

    def step_ended(self) -> None:
        """One more boundary."""
        if self._began is None:
            self._began = time.monotonic()
        else:
            self._steps += 1

    def owed(self, seconds: float) -> float:
        """What the card would still have to work, with so many seconds for each of these steps."""
        if self._began is None:
            return 0.0
        return max(self._steps * seconds - (time.monotonic() - self._began), 0.0)


class CardClock:
    """Begins where it is made, at a step's boundary.

    Args:
        seconds: of a step on the card.
        launches: of that step.
        steps: after which it is over.
        owed: seconds that the card has still to work for earlier steps.
    """

    def __init__(self, seconds: float, launches: int, steps: int, owed: float = 0.0) -> None:
        self._library = ctypes.CDLL(None)
        for name in ("pace", "launches"):
            getattr(self._library, f"nanocheck_clock_{name}").argtypes = [ctypes.c_longlong]
        self._seconds, self._left = seconds, steps
        uncompiled_kernels.launched = self._launched
        uncompiled_kernels.standing = self._library.nanocheck_clock_stand
        self._generated = 0
        self._before = introspect.counters()["launches"]
        self._pace(launches)
        self._library.nanocheck_clock_launches(round(owed / seconds * launches) if seconds else 0)

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


def start(folder: str, launches: int, warm: Warm) -> tuple[CardClock | None, str]:
    """After a step was recorded in a run's folder; where there is no clock, why.

    Args:
        launches: that were recorded, those of generated kernels among them: fewer than a step's where some of
            its micro-batches were left out.
        warm: the steps so far.
    """
    steps = int(os.environ.get(STEPS) or 0)
    if not steps or introspect.version() is None:
        return None, ""
    question = {"folder": folder, "pid": os.getpid(), "card": json.loads(os.environ[CARD])}
    tool = os.environ.get(relaunch.TOOL, sys.executable)
    found = ask(tool, "nanocheck.measuring.card_seconds", question, seconds=_SECONDS)
    if "seconds" not in found:
        return None, str(found.get("error"))
    seconds, launches = float(found["seconds"]), max(launches, int(found["launches"]))
    return CardClock(seconds, launches, steps, warm.owed(seconds)), ""
