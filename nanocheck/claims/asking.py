"""Runs the configurations that claims need, each once: the session's own device first, then the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocheck.claims.quantities import Asked
from nanocheck.core.device import Target
from nanocheck.core.device_selection import choose_device
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import PLATFORMS, find_gpu
from nanocheck.core.result import RunResult
from nanocheck.measure.configurations import Measurement
from nanocheck.process.pool import Observer

if TYPE_CHECKING:
    from nanocheck.pytest_plugin.hooks import Measuring

#: How often several devices are asked for news.
_SECONDS_BETWEEN = 0.05


class Asking:
    """Where the claims' configurations run, and what came out so far.

    Args:
        device: of everything that does not name its own card, platform or reserve.
        choice: ``auto``, ``real`` or ``virtual``, for the other devices.
        gpus: files of further cards.
        workers: configurations at once.
        own: opens what measures on ``device``, where somebody else does; it stays his to close.
    """

    def __init__(
        self,
        device: Target,
        *,
        choice: str = "auto",
        gpus: Sequence[Path] = (),
        workers: int = 2,
        progress: Observer | None = None,
        own: Callable[[], Measuring] | None = None,
    ) -> None:
        self.device = device
        self.records: dict[Asked, RunResult] = {}
        self._choice, self._gpus, self._workers = choice, gpus, workers
        self._progress, self._own = progress, own

    def ask(self, asked: Iterable[Asked]) -> dict[Asked, RunResult]:
        """The records of all of them.

        Raises:
            RequestError: a card or platform is unknown, or less memory is there than others hold.
            MachineError: nothing can run here.
        """
        groups: list[tuple[Target, int | None, list[Asked]]] = []
        asked = list(dict.fromkeys(asked))
        for each in asked:
            if each in self.records:
                continue
            device = self._device(each)
            for other, steps, wanted in groups:
                if (other, steps) == (device, each.steps):
                    wanted.append(each)
                    break
            else:
                groups.append((device, each.steps, [each]))
        # The session's own first, since what it compiles need not be compiled again by the others.
        for device, steps, wanted in groups:
            if not self._is_other(device, steps):
                self._on_own_device(wanted)
        self._elsewhere([group for group in groups if self._is_other(*group[:2])])
        return {each: self.records[each] for each in asked}

    def _on_own_device(self, wanted: Sequence[Asked]) -> None:
        with ExitStack() as stack:
            measuring: Measuring = (
                self._own()
                if self._own is not None
                else stack.enter_context(
                    Measurement(self.device, workers=self._workers, progress=self._progress)
                )
            )
            pending = [(each, measuring.submit(each.config)) for each in wanted]
            for each, one in pending:
                self.records[each] = one.result()

    def _elsewhere(self, groups: Sequence[tuple[Target, int | None, list[Asked]]]) -> None:
        """All other devices at once, a process each: most have one configuration."""
        shown: dict[int, tuple[int, int, Sequence[tuple[str, str]]]] = {}
        with ExitStack() as stack:
            measurements, waiting = [], []
            for place, (device, steps, wanted) in enumerate(groups):

                def show(*state: Any, place: int = place) -> None:
                    shown[place] = state[0], state[1], state[2]
                    done, total, running = zip(*shown.values(), strict=True)
                    if self._progress is not None:
                        self._progress(sum(done), sum(total), [each for some in running for each in some])

                measurement = stack.enter_context(Measurement(device, workers=1, progress=show, steps=steps))
                measurements.append(measurement)
                waiting += [(each, measurement.submit(each.config)) for each in wanted]
            while any(one.found is None for _, one in waiting):
                for measurement in measurements:
                    measurement.poll()
                time.sleep(_SECONDS_BETWEEN)
            self.records.update({each: one.result() for each, one in waiting})

    def _is_other(self, device: Target, steps: int | None) -> bool:
        return device != self.device or steps is not None

    def _device(self, asked: Asked) -> Target:
        own = self.device
        # A card of its own is asked about as it is, whatever is said of the session's.
        platform = asked.platform or (own.platform if asked.gpu is None else PLATFORMS[0])
        if platform not in PLATFORMS:
            raise RequestError(
                f"platform: expected one of {', '.join(PLATFORMS)}, found {platform!r}",
                hint="fix platform in the claim file",
            )
        held = own.reserve_bytes if asked.gpu is None else 0
        reserve = held if asked.reserve_bytes is None else asked.reserve_bytes
        gpu = own.gpu if asked.gpu is None else find_gpu(asked.gpu, self._gpus)
        if (gpu.id, platform, reserve) == (own.gpu.id, own.platform, own.reserve_bytes):
            return own
        return choose_device(gpu, self._choice, platform=platform, reserve_bytes=reserve).target
