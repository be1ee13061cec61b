"""A world in which memory is arithmetic: what a step asks for hangs on the card's multiprocessors alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from made_up import oom_result, peaks, result

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.tables.filling import Ask

#: MiB that tensors ask for, by configuration and multiprocessors; the allocator reserves a quarter more.
Need = Callable[[StepConfig, int], int]


def card(name: str, sms: int, usable_mib: int, capability: tuple[int, int] = (8, 9)) -> Target:
    usable = {"linux": usable_mib * MIB}
    gpu = replace(
        find_gpu("rtx4070"),
        id=name,
        name=name,
        sms=sms,
        capability=capability,
        usable_bytes=usable,
        usable_most_bytes=usable,
    )
    return Target(kind="virtual", gpu=gpu)


@dataclass
class Pending:
    found: RunResult | None


class World:
    """Answers at once; ``asks``: what was run."""

    def __init__(self, need: Need) -> None:
        self.need, self.asks = need, list[Ask]()

    def submit(self, ask: Ask, /) -> Pending:
        self.asks.append(ask)
        return Pending(self.run(ask))

    def wait(self) -> None:
        raise AssertionError("everything is there at once")

    def run(self, ask: Ask) -> RunResult:
        device = ask.target.device
        tensors = self.need(ask.config, ask.target.gpu.sms) * MIB
        reserved, there = tensors * 5 // 4, device.available_bytes
        if tensors > there:
            return oom_result(ask.config, device=device)
        retries = 0 if reserved <= there else 1
        return result(
            ask.config,
            device=device,
            peaks=peaks(tensors, min(reserved, there)),
            retries=retries,
            process_bytes=min(reserved, there) + device.context_bytes,
        )

    @property
    def on_their_own_cards(self) -> Sequence[Ask]:
        return [each for each in self.asks if each.target.gpu.usable_bytes["linux"] < 2**40]
