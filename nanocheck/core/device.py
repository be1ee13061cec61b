"""Where a configuration runs: a real GPU, a virtual one, or the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu

PLATFORMS = ("linux", "windows")


def available_bytes(device: Mapping[str, Any]) -> int:
    """What PyTorch may reserve on a device given as plain data (``Device.to_dict``), in bytes."""
    return int(device["capacity_bytes"]) - int(device["context_bytes"]) - int(device["reserve_bytes"])


@dataclass(frozen=True, kw_only=True)
class Device:
    """A card of the catalog, on a platform, real or virtual.

    Attributes:
        kind: ``real``, ``virtual`` or ``cpu``.
        gpu: the card that was asked for; its figures are the limits a verdict is about.
        platform: whose usable bytes count: a driver on Windows keeps other amounts than on Linux.
        reserve_bytes: used by other processes, such as a desktop.
        capped_from: name of the real card that stands in for the asked one, its memory capped; only
            for ``real``.
    """

    kind: str
    gpu: Gpu
    platform: str = "linux"
    reserve_bytes: int = 0
    capped_from: str | None = None

    def __post_init__(self) -> None:
        if self.platform not in self.gpu.usable_bytes:
            known = ", ".join(sorted(self.gpu.usable_bytes))
            raise RequestError(
                f"{self.gpu.id}: how much memory {self.platform} leaves usable is not in the catalog "
                f"(known: {known})",
                hint=f"choose --platform {known}, or add {self.platform}_usable_mib to the card's table",
            )
        if not 0 <= self.reserve_bytes < self.capacity_bytes:
            raise RequestError(
                f"--reserve: expected less than the card's {self.capacity_bytes} bytes, "
                f"found {self.reserve_bytes}"
            )

    @property
    def capacity_bytes(self) -> int:
        """What CUDA reports as the card's total memory on this platform."""
        return self.gpu.usable_bytes[self.platform]

    @property
    def available_bytes(self) -> int:
        """What PyTorch may reserve: the card without the CUDA context and what others hold."""
        return available_bytes(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Plain data that identifies the device; stands in every record."""
        return {
            "kind": self.kind,
            "gpu": self.gpu.id,
            "name": self.gpu.name,
            "capability": f"{self.gpu.capability[0]}.{self.gpu.capability[1]}",
            "sms": self.gpu.sms,
            "platform": self.platform,
            "capacity_bytes": self.capacity_bytes,
            "context_bytes": self.gpu.context_bytes,
            "reserve_bytes": self.reserve_bytes,
            "capped_from": self.capped_from,
        }
