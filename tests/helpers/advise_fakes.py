"""A card whose every run is decided by arithmetic, for the tests of searches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from made_up import peaks, result
from msgspec.structs import replace
from timing_kernels import product_kernel

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import KernelList, Part
from nanocheck.core.result import OutOfMemory, RunResult
from nanocheck.core.units import MIB

#: MiB that a configuration reserves.
Need = Callable[[StepConfig], float]


def card(**fields: Any) -> Target:
    return Target(kind="virtual", gpu=find_gpu("rtx4070"), **fields)


def line(config: StepConfig) -> float:
    """Like GPT-2, 576 wide: compiled steps take half as much per sequence as eager ones."""
    slope = {"off": 1100.0, "default": 560.0}[config.compile]
    if config.loss == "chunked":
        slope *= 0.6
    if config.checkpointing != "none":
        slope *= 0.5
    return 1500 + slope * config.batch + (60 if config.cycle == "full" else 0)


#: Seconds of one step's kernels, if somebody records it.
Speed = Callable[[StepConfig], float]


class Pending:
    def __init__(self, config: StepConfig, *, recorded: bool = False) -> None:
        self.config = config
        self.recorded = recorded
        self.found: RunResult | None = None


class Fake:
    """A ``Measuring``; ``interrupt_after`` runs it raises what Ctrl-C raises.

    Args:
        speed: what a recorded step holds: a product that takes about so long; None: nothing can be recorded.
    """

    def __init__(
        self,
        target: Target,
        need: Need = line,
        interrupt_after: int | None = None,
        speed: Speed | None = None,
    ) -> None:
        self.target, self.need, self.left, self.speed = target, need, interrupt_after, speed
        self.ran: list[StepConfig] = []
        self.host_s: Speed | None = None
        self.recorded: list[StepConfig] = []
        self.at_once = 0
        self._pending: dict[tuple[str, bool], Pending] = {}

    def submit(self, config: StepConfig, *, record: bool = False) -> Pending:
        return self._pending.setdefault((config.id, record), Pending(config, recorded=record))

    def wait(self) -> None:
        """The first that waits ends, as in a pool of one worker."""
        waiting = [each for each in self._pending.values() if each.found is None]
        assert waiting, "waiting for nothing"
        self.at_once = max(self.at_once, len(waiting))
        if self.left is not None:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
        self.ran.append(waiting[0].config)
        found = self._result(waiting[0].config)
        if waiting[0].recorded:
            self.recorded.append(waiting[0].config)
            if self.speed is not None:
                config = waiting[0].config
                host = None if self.host_s is None else HostTime(seconds=(self.host_s(config),))
                main = replace(found.main, kernels=_list_of(self.speed(config), config), host_time=host)
                found = replace(found, processes=(main,))
        waiting[0].found = found

    def _result(self, config: StepConfig) -> RunResult:
        available = self.target.available_bytes
        need = round(self.need(config) * MIB)
        if need <= available:
            return result(config, device=self.target.device, peaks=peaks(need * 9 // 10, need))
        died = OutOfMemory(
            phase="backward",
            step=0,
            requested_bytes=need - available // 2,
            exact=True,
            line="loss.backward()",
            message="out of memory",
        )
        return result(
            config,
            device=self.target.device,
            outcome="oom",
            oom=died,
            peaks=peaks(available // 2, available // 2, steps=1),
        )


def _list_of(seconds: float, config: StepConfig) -> KernelList:
    """Products of some milliseconds each on the card, as many as it takes."""
    kernel = product_kernel(8192, 8192, 8192)
    times = max(1, round(seconds * find_gpu("rtx4070").bf16_tflops * 1e12 / kernel.operations))
    tokens = config.batch * config.accumulation * config.block_size
    part = Part(name="first", kernels=(kernel,), times=times)
    return KernelList(parts=(part,), torch="made up", capability=(8, 9), tokens=tokens)
