"""Card and host together: a kernel starts when the host has issued it and the one before it has ended."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.kernels import Kernel, KernelKind, KernelList, Part
from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constants
from nanocheck.timing.kernel_time import computing_seconds, gap_seconds, moving_seconds
from nanocheck.timing.memory import Cache
from nanocheck.timing.power import Load, fed


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One kernel of one part: seconds on the card, and bytes that memory itself moves at the least."""

    kernel: Kernel
    seconds: float
    missed: float


def timed(card: Card, kernels: KernelList, constants: Constants) -> list[list[Timed]]:
    """For each part its kernels, in a run of it that is not the first: L2 holds what the one before left."""
    moved = [_moved(card, part, constants) for part in kernels.parts]
    runs = [(load, part.times) for part, loads in zip(kernels.parts, moved, strict=True) for load, _ in loads]
    board = fed(card, runs, constants)
    return [
        [
            Timed(
                kernel=load.kernel,
                seconds=max(computing_seconds(board, load.kernel, constants), load.moving) + load.resting,
                missed=missed,
            )
            for load, missed in loads
        ]
        for loads in moved
    ]


def _moved(card: Card, part: Part, constants: Constants) -> list[tuple[Load, float]]:
    """Each kernel's memory side, and the bytes that L2 did not serve."""
    cache = Cache(card, constants)
    if part.times > 1:
        for kernel in part.kernels:
            cache.hits(kernel)
    found = []
    for kernel in part.kernels:
        hits = cache.hits(kernel)
        load = Load(
            kernel=kernel,
            moving=moving_seconds(card, kernel, hits, constants),
            resting=gap_seconds(kernel, constants),
        )
        on_card = kernel.kind not in {KernelKind.TRANSFER, KernelKind.WAIT}
        found.append((load, kernel.read + kernel.written - hits if on_card else 0.0))
    return found


def issues(kernels: KernelList) -> int:
    """What a step has to issue: launches, and waits."""
    return sum(_issued(kernel) * times for kernel, times in kernels)


def part_seconds(part: list[Timed], host_each: float, times: int) -> float:
    """``times`` runs of a part, one behind the other; ``host_each``: the host's seconds for one launch.

    Two runs are followed kernel by kernel; the second, which begins with what the first left in the queue,
    stands for all others.
    """
    if not times:
        return 0.0
    host = card = 0.0
    ends = []
    for _ in range(min(times, 2)):
        for one in part:
            host += host_each * _issued(one.kernel)
            if one.kernel.kind is KernelKind.WAIT:
                host = max(host, card)
            card = max(card, host) + one.seconds
        ends.append(max(card, host))
    return ends[-1] + (times - len(ends)) * (ends[-1] - (ends[-2] if len(ends) > 1 else 0.0))


def _issued(kernel: Kernel) -> int:
    return 1 if kernel.kind is KernelKind.WAIT else kernel.launches
