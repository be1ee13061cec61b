"""After the answer about memory is known, on a real card: how long each further optimizer step takes.

By CUDA events at the steps' boundaries, with the host at most one step ahead, as in a loop that logs its
loss. It only collects: ``core/measured_step.py`` says what of it counts.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

import torch

from nanocheck.observe import introspect
from nanocheck.observe.card_monitor import CardMonitor

#: At least so many readings and so long, for the warm-up and what counts after it; no longer than the limit.
_READINGS, _SECONDS, _LIMIT_S = 32, 4.0, 60.0
#: The virtual card computes nothing: a few steps show the way, and no reading is kept.
_REHEARSED = 6


class CardSteps:
    """Begins at a step's boundary, as ``recording.TimedSteps`` does, and records no kernels."""

    recorded = False
    launches = 0

    def __init__(self) -> None:
        self._virtual = introspect.version() is not None
        self._seconds: list[float] = []
        self._events: list[Any] = []
        self._steps = 0
        self._load: dict[str, Any] = {}
        self._watching = contextlib.ExitStack()
        uuid = str(getattr(torch.cuda.get_device_properties(torch.cuda.current_device()), "uuid", ""))
        self._load = self._watching.enter_context(CardMonitor(uuid).watched())
        self._began = time.monotonic()
        self._boundary()

    def step_ended(self) -> bool:
        """A step's boundary; whether all is done."""
        self._steps += 1
        self._boundary()
        if len(self._events) == 3:
            one, other = self._events[:2]
            other.synchronize()
            if not self._virtual:
                self._seconds.append(one.elapsed_time(other) / 1000)
            del self._events[0]
        if self._virtual:
            return self._steps >= _REHEARSED
        lasted = time.monotonic() - self._began
        return lasted >= _LIMIT_S or (len(self._seconds) >= _READINGS and lasted >= _SECONDS)

    def _boundary(self) -> None:
        make: Any = torch.cuda.Event  # has no types
        self._events.append(make(enable_timing=True))
        self._events[-1].record()

    def mark(self, what: str) -> None:
        """Phases are not timed."""

    def close(self) -> None:
        """Nobody looks at the card any more."""
        self._watching.close()

    def entry(self) -> dict[str, Any]:
        """For the journal: seconds of each step in order, how many ran, and the card's state meanwhile."""
        return {"seconds": self._seconds, "steps": self._steps, "load": self._load or None}
