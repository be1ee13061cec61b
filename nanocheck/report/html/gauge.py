"""The whole card as one bar: what is taken, what is left, and what found no room."""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.core.device import Device
from nanocheck.core.result import ProcessMemory


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of the bar: ``left`` and ``width`` are fractions of it, ``css`` its class."""

    words: str
    size_bytes: int
    css: str
    left: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """The card from its first byte to its last.

    Attributes:
        parts: context, other processes, allocated, reserved, free; some may be empty.
        request: the one that ended the run, laid over what is free; it sticks out of the card by what is
            missing. edge: where the card ends then, a fraction of the bar.
    """

    card_bytes: int
    parts: list[Part]
    request: Part | None
    edge: float | None


def of(process: ProcessMemory, device: Device) -> Gauge | None:
    """The bar of one process: at its peaks, or when the request failed that ended it.

    ``None`` for a device without memory of its own.
    """
    card, oom, nccl = device.capacity_bytes, process.oom, process.nccl_least_bytes
    if card <= 0:
        return None
    allocated, reserved, requested = process.allocated_bytes, process.reserved_bytes, None
    if oom is not None and not oom.caught and oom.free_bytes is not None:
        reserved = max(0, device.available_bytes - nccl - oom.free_bytes)
        allocated = min(reserved, sum(each.bytes for each in oom.groups) or allocated)
        requested = oom.requested_bytes
    taken = [
        ("CUDA context", device.context_bytes, "context-fill"),
        *([("NCCL, at the least", nccl, "nccl-fill")] if nccl else []),
        ("used by other processes", device.reserve_bytes, "others-fill"),
        ("allocated", allocated, "allocated-fill"),
        ("reserved, not allocated", max(0, reserved - allocated), "reserved-fill"),
    ]
    used = sum(length for _, length, _ in taken)
    # A request that is larger than the card is drawn as large as the card.
    drawn = min(requested or 0, card)
    whole = max(card, used + drawn)
    parts, left = [], 0
    for words, length, css in (*taken, ("free", max(0, card - used), "free-fill")):
        parts.append(Part(words=words, size_bytes=length, css=css, left=left / whole, width=length / whole))
        left += length
    request = None
    if requested is not None:
        request = Part(
            words="the request",
            size_bytes=requested,
            css="wanted-fill",
            left=used / whole,
            width=drawn / whole,
        )
    return Gauge(card_bytes=card, parts=parts, request=request, edge=card / whole if whole > card else None)
