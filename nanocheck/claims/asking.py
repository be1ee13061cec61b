"""Runs the configurations that claims need, each once, one device after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from nanocheck.choosing import choose_device
from nanocheck.claims.quantities import Asked
from nanocheck.device import PLATFORMS, Device
from nanocheck.errors import RequestError
from nanocheck.gpus import find_gpu
from nanocheck.harness.measure import Measurement
from nanocheck.harness.pool import Observer
from nanocheck.hooks import Measuring
from nanocheck.results import Record


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
        device: Device,
        *,
        choice: str = "auto",
        gpus: Sequence[Path] = (),
        workers: int = 2,
        progress: Observer | None = None,
        own: Callable[[], Measuring] | None = None,
    ) -> None:
        self.device = device
        self.records: dict[Asked, Record] = {}
        self._choice, self._gpus, self._workers = choice, gpus, workers
        self._progress, self._own = progress, own

    def ask(self, asked: Iterable[Asked]) -> dict[Asked, Record]:
        """The records of all of them.

        Raises:
            RequestError: a card or platform is unknown, or less memory is there than others hold.
            MachineError: nothing can run here.
        """
        groups: list[tuple[Device, int | None, list[Asked]]] = []
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
        # One device after the other: nobody would read what the processes of another one say meanwhile.
        # The session's own first, since what it compiles need not be compiled again by the others.
        for device, steps, wanted in sorted(groups, key=lambda group: self._is_other(*group[:2])):
            if self._own is not None and not self._is_other(device, steps):
                self._collect(self._own(), wanted)
                continue
            with Measurement(
                device, workers=self._workers, progress=self._progress, steps=steps
            ) as measurement:
                self._collect(measurement, wanted)
        return {each: self.records[each] for each in asked}

    def _collect(self, measuring: Measuring, wanted: Sequence[Asked]) -> None:
        pending = [(each, measuring.submit(each.config)) for each in wanted]
        for each, one in pending:
            self.records[each] = one.result()

    def _is_other(self, device: Device, steps: int | None) -> bool:
        return device != self.device or steps is not None

    def _device(self, asked: Asked) -> Device:
        own = self.device
        # A card of its own is asked about as it is, whatever is said of the session's.
        platform = asked.platform or (own.platform if asked.gpu is None else PLATFORMS[0])
        if platform not in PLATFORMS:
            raise RequestError(
                f"platform: expected one of {', '.join(PLATFORMS)}, found {platform!r}",
                mend="mend platform in the claim file",
            )
        held = own.reserve_bytes if asked.gpu is None else 0
        reserve = held if asked.reserve_bytes is None else asked.reserve_bytes
        gpu = own.gpu if asked.gpu is None else find_gpu(asked.gpu, self._gpus)
        if (gpu.id, platform, reserve) == (own.gpu.id, own.platform, own.reserve_bytes):
            return own
        return choose_device(gpu, self._choice, platform=platform, reserve_bytes=reserve).device
