"""After the answer about memory is known, a few steps more: some are timed, then one is recorded."""

from __future__ import annotations

from typing import Any

from nanocheck.observe.recording.execution_trace import StepTrace
from nanocheck.observe.recording.host_clock import HostClock, LoaderTime

#: Steps that are tried, where something compiles in each, or their micro-batches differ in number.
_TRIES = 5
#: A first micro-batch, one that repeats it and what comes last are recorded of longer accumulations.
_RECORDED = 3


class TimedSteps:
    """Begins at a step's boundary and goes on from boundary to boundary.

    Args:
        folder: where the trace is written.
        micro_batches: of a step; ``None``: as many as the steps that are timed have.
        update_apart: micro-batches are bounded by the ends of their backwards, and what follows the last
            is a part of its own. Otherwise they are bounded by their beginnings, as an observed
            script has them: a part is a backward and the forward after it.
        facts: about the process, written beside the trace.
    """

    def __init__(
        self,
        folder: str,
        *,
        micro_batches: int | None = None,
        update_apart: bool = False,
        loader: LoaderTime | None = None,
        facts: dict[str, Any] | None = None,
    ) -> None:
        self._folder = folder
        self._clock = HostClock(loader)
        self._timing = True
        self._trace: StepTrace | None = None
        self._tries = _TRIES
        self._fixed = micro_batches
        self._batches = micro_batches or 1
        self._apart = update_apart
        self._seen = 0  # micro-batches of the step that runs
        self._facts = facts or {}
        self._ran = 1  # micro-batches of a timed step
        self.recorded = False
        self.launches = 0  # of the recorded step

    def step_ended(self) -> bool:
        """A step's boundary; whether all is done."""
        ran, self._seen = self._seen, 0
        if self._timing:
            self._timing = not self._clock.step_ended()
            self._ran = max(ran, 1)
            self._batches = self._fixed or self._ran
            if self._timing:
                return False
        elif self._trace is not None:
            trace, self._trace = self._trace, None
            if self._fixed is None and ran != self._batches:
                trace.drop()
                self._batches = max(ran, 1)
            else:
                self.recorded = trace.finish(**self._facts)
                self.launches = trace.launches
            self._tries -= 1
            if self.recorded or not self._tries:
                return True
        self._trace = StepTrace(self._folder)
        self._trace.mark("part:first:1")
        return False

    def close(self) -> None:
        """The script ends before that."""
        if self._trace is not None:
            self._trace.drop()
            self._trace = None

    def forked(self) -> None:
        """In a child of this process."""
        if self._trace is not None:
            self._trace.forked()

    def mark(self, what: str) -> None:
        """``backward+``, ``backward-``, ``optimizer+``, ... as ``phase_hooks`` tells them."""
        if what == "backward+" and not self._apart:
            self._micro_batch()
        if self._apart and what == "optimizer+" and self._trace is not None:
            self._trace.resume()
            self._trace.mark("part:update:1")
        if self._trace is not None:
            self._trace.mark(what)
        if self._apart and what == "backward-":
            self._micro_batch()

    def _micro_batch(self) -> None:
        """A boundary of micro-batches: where one begins, or with ``update_apart`` where one ended."""
        self._seen += 1
        if self._trace is None:
            return
        # The number of the micro-batch that begins here, from 1, and how many go on like the second.
        begins = self._seen + 1 if self._apart else self._seen
        repeated = self._batches - (1 if self._apart else 2)
        if begins == 2 and repeated > 0:
            self._trace.mark(f"part:repeated:{repeated}")
        elif begins == _RECORDED and repeated > 1:
            self._trace.pause()
        if not self._apart and begins == self._batches and begins > 1:
            self._trace.resume()
            self._trace.mark("part:last:1")

    def entry(self) -> dict[str, Any]:
        """For the journal; see ``HostClock.entry``."""
        return {**self._clock.entry(), "micro_batches": self._ran, "recorded": self.recorded}
