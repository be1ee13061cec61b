"""When the answer is known: optimizer steps whose peak no longer moves."""

from __future__ import annotations

from pathlib import Path


class AnswerKnown(SystemExit):
    """Ends the script from within its own code, so that its ``finally`` blocks and exit handlers run."""

    def __init__(self) -> None:
        super().__init__(0)


class Stopping:
    """Watches the peaks of the steps.

    Args:
        steps: at least so many steps, the last of which raised no peak; 0: never stop.
    """

    def __init__(self, steps: int, folder: str) -> None:
        self._steps = steps
        self._folder = folder
        self._peak = (0, 0)
        self.done = 0  # steps that ended

    def step_ended(self, allocated_peak: int, reserved_peak: int) -> bool:
        """One step ended with these peaks since the process began or the script last reset them; whether
        the answer is known.
        """
        self.done += 1
        peak = (max(self._peak[0], allocated_peak), max(self._peak[1], reserved_peak))
        moved, self._peak = peak != self._peak, peak
        return bool(self._steps) and self.done >= self._steps and not moved

    def announce(self, pid: int) -> None:
        """Tell the parent, which ends the process if it does not end by itself."""
        (Path(self._folder) / f"answered-{pid}").touch()
