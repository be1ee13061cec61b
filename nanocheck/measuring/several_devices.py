"""Runs requests for several devices, each once: the session's own device first, then all others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, Protocol

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.device_selection import choose_device
from nanocheck.core.gpus import PLATFORMS, CardSource, find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.run_request import RunRequest
from nanocheck.measuring.configurations import Measurement

#: How often several devices are asked for news.
_SECONDS_BETWEEN = 0.05


class PendingResult(Protocol):
    """A configuration that was submitted."""

    def result(self) -> RunResult: ...


class Submits(Protocol):
    """What runs configurations on one device, such as ``Measurement``."""

    def submit(self, config: StepConfig, *, record: bool = False) -> PendingResult: ...


class _Group(NamedTuple):
    """Requests for one device with one number of steps."""

    target: Target
    steps: int | None
    requests: list[RunRequest]


class ClaimRunner:
    """Where requests run, and what came out so far.

    Args:
        target: of everything that does not name its own card, platform or reserve.
        own: gives what runs configurations on ``target``; called when something needs it, closed elsewhere.
        choice: ``auto``, ``real`` or ``virtual``, for the other devices.
        gpus: where further cards come from.
    """

    def __init__(
        self,
        target: Target,
        own: Callable[[], Submits],
        *,
        choice: str = "auto",
        gpus: Sequence[CardSource] = (),
    ) -> None:
        self.target = target
        self.results: dict[RunRequest, RunResult] = {}
        self._own, self._choice, self._gpus = own, choice, gpus

    def run(self, requests: Iterable[RunRequest]) -> dict[RunRequest, RunResult]:
        """The results of all of them; those that ran before are not run again.

        Raises:
            RequestError: a card or platform is unknown, or more is reserved than the card has.
            MachineError: nothing can run here.
        """
        # Those that are recorded first: their peaks answer for the same run without a recording, too.
        requests = sorted(dict.fromkeys(requests), key=lambda each: not each.time)
        groups: list[_Group] = []
        for each in requests:
            if each not in self.results:
                _add(groups, self._target(each), each)
        own = [group for group in groups if group.target == self.target and group.steps is None]
        others = [group for group in groups if group not in own]
        # The session's own first, since what it compiles need not be compiled again by the others.
        for group in own:
            submits = self._own()
            pending = [(each, _submit(submits, each)) for each in group.requests]
            self.results.update({each: one.result() for each, one in pending})
        # Virtual cards are run side by side, a process each; a real one is never shared.
        self._run_together([group for group in others if group.target.kind != "real"])
        for group in others:
            if group.target.kind == "real":
                self._run_together([group])
        return {each: self.results[each] for each in requests}

    def _run_together(self, groups: Sequence[_Group]) -> None:
        with ExitStack() as stack:
            measurements, waiting = [], []
            for group in groups:
                measurement = stack.enter_context(Measurement(group.target, workers=1, steps=group.steps))
                measurements.append(measurement)
                waiting += [(each, _submit(measurement, each)) for each in group.requests]
            while any(one.found is None for _, one in waiting):
                for measurement in measurements:
                    measurement.poll()
                time.sleep(_SECONDS_BETWEEN)
            self.results.update({each: one.result() for each, one in waiting})

    def _target(self, request: RunRequest) -> Target:
        """The session's own where a request asks for nothing else; times are modelled, on virtual cards."""
        own = self.target
        gpu = own.gpu if request.gpu is None else find_gpu(request.gpu, self._gpus)
        # What is said of the session's card, its platform and reserve, is not said of another one.
        platform = request.platform or (own.platform if request.gpu is None else PLATFORMS[0])
        held = own.reserve_bytes if request.gpu is None else 0
        reserve = held if request.reserve_bytes is None else request.reserve_bytes
        same = (gpu.id, platform, reserve) == (own.gpu.id, own.platform, own.reserve_bytes)
        if same and (own.kind == "virtual" or not request.time):
            return own
        choice = "virtual" if request.time else self._choice
        return choose_device(gpu, choice, platform=platform, reserve_bytes=reserve).target


def _submit(submits: Any, request: RunRequest) -> Any:
    return submits.submit(request.config, record=True) if request.time else submits.submit(request.config)


def _add(groups: list[_Group], target: Target, request: RunRequest) -> None:
    for group in groups:
        if (group.target, group.steps) == (target, request.steps):
            group.requests.append(request)
            return
    groups.append(_Group(target, request.steps, [request]))
