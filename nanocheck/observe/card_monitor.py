"""A card's power, clocks, temperature and neighbours, as NVML tells them. Opens no CUDA context.

Whatever NVML does not say is None: an old driver, a laptop without a power sensor, no NVML at all. Function
names, units and the bits of the reasons are those of NVIDIA's NVML API Reference (nvml.h).
"""

from __future__ import annotations

import contextlib
import ctypes
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any

#: nvmlClocksThrottleReasons: what holds a clock down that no long run should meet.
SLOWED_BY = {
    0x8: "hardware slowdown",
    0x20: "too hot (software)",
    0x40: "too hot (hardware)",
    0x80: "power brake",
}
#: The power limit, which every long run meets.
POWER_CAP = 0x4
_EVERY_S = 0.05
_SM, _MEMORY = 1, 2  # nvmlClockType_t


class _Process(ctypes.Structure):
    """``nvmlProcessInfo_t`` of version 3."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


class CardMonitor:
    """One card.

    Args:
        uuid: with or without ``GPU-`` before it, as torch's device properties have it.
    """

    def __init__(self, uuid: str) -> None:
        self._nvml: Any = None
        self._device = ctypes.c_void_p()
        with contextlib.suppress(OSError, AttributeError):
            nvml = ctypes.CDLL("libnvidia-ml.so.1")
            name = uuid if uuid.startswith(("GPU-", "MIG-")) else "GPU-" + uuid
            found = nvml.nvmlInit_v2() == 0
            if found and nvml.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(self._device)) == 0:
                self._nvml = nvml

    def _ask(self, function: str, *arguments: Any) -> bool:
        """Whether NVML answered."""
        try:
            return self._nvml is not None and getattr(self._nvml, function)(self._device, *arguments) == 0
        except AttributeError:  # an older library
            return False

    def _number(self, function: str, *arguments: Any) -> int | None:
        value = ctypes.c_uint()
        return value.value if self._ask(function, *arguments, ctypes.byref(value)) else None

    def power_limits(self) -> dict[str, float | None]:
        """In watts: in force (the enforced one), the maker's, the least and the most that can be set."""
        least, most = ctypes.c_uint(), ctypes.c_uint()
        known = self._ask(
            "nvmlDeviceGetPowerManagementLimitConstraints", ctypes.byref(least), ctypes.byref(most)
        )
        return {
            "power_limit_w": _watts(self._number("nvmlDeviceGetEnforcedPowerLimit")),
            "power_default_w": _watts(self._number("nvmlDeviceGetPowerManagementDefaultLimit")),
            "power_least_w": _watts(least.value) if known else None,
            "power_most_w": _watts(most.value) if known else None,
        }

    def driver(self) -> str | None:
        """The driver's version."""
        text = ctypes.create_string_buffer(96)
        if self._nvml is None or self._nvml.nvmlSystemGetDriverVersion(text, 96) != 0:
            return None
        return text.value.decode(errors="replace")

    def computing_processes(self) -> int | None:
        """How many processes have a CUDA context on the card, as far as this container may see them."""
        found = (_Process * 64)()
        count = ctypes.c_uint(64)
        asked = self._ask("nvmlDeviceGetComputeRunningProcesses_v3", ctypes.byref(count), found)
        return count.value if asked else None

    def busy_percent(self) -> int | None:
        """Share of the last moments in which any kernel ran, whoever's."""
        found = _Utilization()
        return int(found.gpu) if self._ask("nvmlDeviceGetUtilizationRates", ctypes.byref(found)) else None

    def _energy_mj(self) -> int | None:
        value = ctypes.c_ulonglong()
        asked = self._ask("nvmlDeviceGetTotalEnergyConsumption", ctypes.byref(value))
        return value.value if asked else None

    @contextlib.contextmanager
    def watched(self) -> Iterator[dict[str, Any]]:
        """While it lasts, the card is read every 50 ms; afterwards the dict holds ``core.steadiness.Load``'s
        fields. NVML's calls let go of Python's lock, so what is timed meanwhile is not held up.
        """
        found: dict[str, Any] = {}
        rows: list[dict[str, int | None]] = []
        over = threading.Event()

        def read() -> None:
            while True:
                rows.append(self._now())
                if over.wait(_EVERY_S):
                    return

        reader = threading.Thread(target=read, daemon=True)
        before, began = self._energy_mj(), time.monotonic()
        if self._nvml is not None:
            reader.start()
        try:
            yield found
        finally:
            after, lasted = self._energy_mj(), time.monotonic() - began
            if self._nvml is not None:
                over.set()
                reader.join()
            found.update(summary(rows))
            # The counter moves in steps of some 20 to 100 ms: over a short while it says little.
            if before is not None and after is not None and lasted >= 0.5 and after > before:
                found["power_w"] = round((after - before) / 1000 / lasted, 1)

    def _now(self) -> dict[str, int | None]:
        return {
            "power_mw": self._number("nvmlDeviceGetPowerUsage"),
            "sm_mhz": self._number("nvmlDeviceGetClockInfo", _SM),
            "memory_mhz": self._number("nvmlDeviceGetClockInfo", _MEMORY),
            "temperature_c": self._number("nvmlDeviceGetTemperature", 0),
            "reasons": self._reasons(),
        }

    def _reasons(self) -> int | None:
        value = ctypes.c_ulonglong()
        asked = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.byref(value))
        return value.value if asked else None


def summary(rows: list[dict[str, int | None]]) -> dict[str, Any]:
    """``core.steadiness.Load``'s fields from readings, of which each may be None."""

    def known(name: str) -> list[int]:
        return [value for row in rows if (value := row[name]) is not None]

    power, reasons = known("power_mw"), 0
    for each in known("reasons"):
        reasons |= each
    return {
        "power_w": round(statistics.fmean(power) / 1000, 1) if any(power) else None,
        "sm_mhz": statistics.median(known("sm_mhz")) if known("sm_mhz") else None,
        "memory_mhz": statistics.median(known("memory_mhz")) if known("memory_mhz") else None,
        "temperature_c": max(known("temperature_c"), default=None),
        "power_capped": bool(reasons & POWER_CAP),
        "slowed_by": [word for bit, word in SLOWED_BY.items() if reasons & bit],
    }


def _watts(milliwatts: int | None) -> float | None:
    return None if milliwatts is None else milliwatts / 1000
