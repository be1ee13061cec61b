"""The reference step's time: once its peak has settled, steps that are timed, and one that is recorded.

Imports torch: only in children.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.host_time import HostTime
from nanocheck.observe.recording.timed_steps import TimedSteps


class PeakObserver(Protocol):
    """Watches until the peak has settled."""

    def enter(self, phase: str, step: int) -> None: ...
    def leave(self, phase: str, step: int) -> None: ...
    def settled(self) -> bool: ...


class Timing:
    """Goes on where ``observer`` is done.

    Args:
        folder: where the trace is written.
    """

    #: Steps more than memory needs, at most.
    MOST: ClassVar[int] = 12

    def __init__(self, observer: PeakObserver, config: StepConfig, folder: str) -> None:
        self._observer = observer
        self._config = config
        self._folder = folder
        self._steps: TimedSteps | None = None

    def enter(self, phase: str, step: int) -> None:
        """A phase begins."""
        if self._steps is None:
            self._observer.enter(phase, step)
        elif phase in ("backward", "optimizer"):
            self._steps.mark(f"{phase}+")

    def leave(self, phase: str, step: int) -> None:
        """A phase ends."""
        if self._steps is None:
            self._observer.leave(phase, step)
        elif phase in ("backward", "optimizer"):
            self._steps.mark(f"{phase}-")

    def enough(self) -> bool:
        """A step is over; whether no more are needed."""
        if self._steps is not None:
            return self._steps.step_ended()
        if self._observer.settled():
            self._steps = TimedSteps(
                self._folder,
                micro_batches=self._config.accumulation,
                update_apart=True,
                facts={"parameters": self._config.parameters},
            )
        return False

    def host_time(self) -> HostTime | None:
        """Of this machine; ``None`` where no step was timed."""
        return None if self._steps is None else msgspec.convert(self._steps.entry(), HostTime)
