"""Seconds of one kernel on the card, its launch included."""

from __future__ import annotations

from nanocheck.core.kernels import Kernel, KernelKind
from nanocheck.timing.attention import attention_seconds
from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constants
from nanocheck.timing.memory import memory_seconds
from nanocheck.timing.product import product_seconds, speed


def computing_seconds(card: Card, kernel: Kernel, constants: Constants) -> float:
    """Without bytes and launches."""
    if kernel.product is not None:
        return product_seconds(card, kernel.product, kernel.dtype, constants)
    if kernel.attention is not None:
        return attention_seconds(card, kernel.attention, kernel.operations, kernel.dtype, constants)
    return kernel.operations / speed(card, kernel.dtype, constants) if kernel.operations else 0.0


def moving_seconds(card: Card, kernel: Kernel, hits: float, constants: Constants) -> float:
    """What its bytes take, of which L2 serves ``hits``."""
    if kernel.kind is KernelKind.WAIT:
        return 0.0
    if kernel.kind is KernelKind.TRANSFER:
        return (kernel.read + kernel.written) / (constants["link"] * 1e9)
    return memory_seconds(card, kernel, hits, constants)


def gap_seconds(kernel: Kernel, constants: Constants) -> float:
    """Starts, ends and gaps of its launches."""
    return 0.0 if kernel.kind is KernelKind.WAIT else constants["launch_gap"] * 1e-6 * kernel.launches
