"""Seconds that a kernel's bytes take: the bandwidth that copies reach, and what L2 still holds.

A multiprocessor has only so many bytes under way at once (Little's law), so kernels of one operation each do
not reach the bandwidth of cards with much of it for each multiprocessor.

L2 keeps what was touched last. A part of a storage is read from there if no more than a share of the cache
went through since (its reuse distance), else from memory.
"""

from __future__ import annotations

from nanocheck.core.kernels import Kernel, KernelKind
from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constants


class Cache:
    """What L2 holds, while a list of kernels goes by in order."""

    def __init__(self, card: Card, constants: Constants) -> None:
        self._size = constants["l2_share"] * card.l2_bytes
        self._last: dict[int, float] = {}
        self._gone = 0.0

    def hits(self, kernel: Kernel) -> float:
        """Bytes of ``kernel.read`` that come from L2; the kernel's own then count as touched."""
        total = float(sum(part.size for part in kernel.touched))
        found = 0.0
        for part in kernel.touched:
            last = self._last.get(part.storage)
            if part.read and last is not None and self._gone - last + total <= self._size:
                found += part.size
        for part in kernel.touched:
            self._last[part.storage] = self._gone + total
        self._gone += total
        return min(found, float(kernel.read))


def bandwidth(card: Card, kernel: Kernel, constants: Constants) -> float:
    """Bytes a second that a kernel of its kind reaches; norms and softmaxes at most what copies do."""
    copy = card.bandwidth * constants[f"copy {card.memory}"]
    under_way = constants["sm_bytes_a_clock"] * card.sms * card.boost_mhz * 1e6
    if kernel.kind is KernelKind.NORM:
        of_copy = constants["norm_backward" if "backward" in kernel.name else "norm_forward"]
    elif kernel.kind is KernelKind.SOFTMAX:  # PyTorch's losses call the log-softmax, attention the other
        of_copy = constants["log_softmax" if "log_softmax" in kernel.name else "softmax"]
    elif kernel.kind in {KernelKind.ELEMENTWISE, KernelKind.REDUCTION}:
        of_copy = 1.0
    else:
        return copy
    return min(of_copy * copy, under_way)


def memory_seconds(card: Card, kernel: Kernel, hits: float, constants: Constants) -> float:
    """``hits``: bytes that L2 serves, ``Cache.hits``."""
    rate = bandwidth(card, kernel, constants)
    missed = kernel.read + kernel.written - hits
    return missed / rate + hits / (rate * constants["l2_speed"])
