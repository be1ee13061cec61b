"""The script's own clocks show the card's time, once a model has said how long a step takes there.

The virtual card's launches each take the same time, the model's seconds of a step over the launches of that
step, and whoever waits for the card finds its clock moved on (csrc/base/clock.c).
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from typing import Any

from nanocheck.observe import introspect, relaunch, uncompiled_kernels

#: How many steps go on by the clock, and the card for the model.
STEPS, CARD = "NANOCHECK_RUN_CLOCK", "NANOCHECK_RUN_CLOCK_CARD"
_ASK = (
    "import sys; sys.path.insert(0, {root!r}); "
    "from nanocheck.measuring import card_seconds; card_seconds.main()"
)
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
    found = _ask({"folder": folder, "pid": os.getpid(), "card": json.loads(os.environ[CARD])})
    if "seconds" not in found:
        return None, str(found.get("error"))
    return CardClock(float(found["seconds"]), launches, steps), ""


def _ask(question: dict[str, Any]) -> dict[str, Any]:
    """Of the nanocheck that was started; the model is not in this process."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
    ours = ("PYTHON", "LD_", "NANOCHECK_RUN", "NANOCHECK_CARD")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    try:
        asked = subprocess.run(
            [os.environ.get(relaunch.TOOL, sys.executable), "-c", _ASK.format(root=root)],
            input=json.dumps(question),
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return dict(json.loads(asked.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return {"error": f"its nanocheck gave no answer: {error}"}
