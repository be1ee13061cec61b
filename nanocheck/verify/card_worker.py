"""What runs in a process of its own on either card: a configuration with what CUDA says after it, and the
card's description. Each is a task of the pool.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import msgspec
import torch

from nanocheck.core.units import MIB
from nanocheck.measuring import step_worker
from nanocheck.measuring.task import Task
from nanocheck.observe import introspect
from nanocheck.observe.card_monitor import CardMonitor
from nanocheck.step.run import run_step
from nanocheck.verify.step_time import COMPUTES_NOTHING, StepReadings


def run(payload: dict[str, Any], emit: step_worker.Emit) -> dict[str, Any]:
    """``step_worker.run``, and the process's memory after it (``observed.Memory``)."""
    result = step_worker.run(payload, emit)
    peaks = result["processes"][0]
    free, total = torch.cuda.mem_get_info()
    memory = {
        "allocated_bytes": peaks["allocated_bytes"],
        "reserved_bytes": peaks["reserved_bytes"],
        "reserved_now_bytes": torch.cuda.memory_reserved(),
        "used_bytes": total - free,
        "usable_bytes": total,
    }
    return {"result": result, "memory": memory}


def time_steps(payload: dict[str, Any], emit: step_worker.Emit) -> dict[str, Any]:
    """Optimizer steps by CUDA events, as a ``StepTime``'s fields; every micro-batch runs.

    The host stays at most one step ahead, as in a loop that logs its loss. On the virtual card a few steps
    run, and nothing is timed.
    """
    task = msgspec.convert(payload["task"], Task)
    virtual = introspect.version() is not None
    make: Any = torch.cuda.Event  # has no types
    events: list[Any] = []
    readings = StepReadings(payload["limit_s"])

    def observe(phase: str, step: int) -> None:
        if phase == "optimizer":
            events.append(make(enable_timing=True))
            events[-1].record()

    def enough() -> bool:
        nonlocal readings
        if len(events) == 2:  # the first step compiles and loads kernels
            readings = StepReadings(payload["limit_s"])
        if len(events) >= 3:
            one, other = events[-3], events[-2]
            other.synchronize()
            readings.add(one.elapsed_time(other) / 1000)
        return len(events) >= 6 if virtual else readings.enough

    with CardMonitor(payload["uuid"]).watched() as load:
        run_step(
            task.config,
            "cuda",
            observe=observe,
            steps=10**6,
            enough=enough,
            workdir=Path.cwd(),
            skip_repetitions=False,
        )
        torch.cuda.synchronize()
    if virtual:
        return {"provenance": "virtual", "refused": COMPUTES_NOTHING}
    seconds = msgspec.to_builtins(readings.seconds())
    return {"provenance": "measured", "seconds": seconds, "settled": readings.settled, "load": load}


def describe(payload: None, emit: step_worker.Emit) -> dict[str, Any]:
    """The card's ``CardFacts``, its figures as the catalog's files name them, the process's environment, and
    the card's UUID, which nobody keeps.
    """
    found = torch.cuda.get_device_properties(0)
    facts = {
        "name": found.name,
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "threads_per_multiprocessor": found.max_threads_per_multi_processor,
        "usable_bytes": found.total_memory,
        "l2_bytes": found.L2_cache_size,
        "shared_per_block_optin_bytes": found.shared_memory_per_block_optin,  # type: ignore[attr-defined]
    }
    figures = {
        "name": found.name,
        "capability": facts["capability"],
        "sms": found.multi_processor_count,
        "l2_mib": found.L2_cache_size / MIB,
        "bus_width_bits": found.memory_bus_width,
        # Two transfers a clock; the clock is in kHz, the bandwidth in 10^9 bytes a second.
        "bandwidth_gb_s": round(2 * found.memory_clock_rate * found.memory_bus_width / 8 / 10**6, 1),
        "boost_mhz": found.clock_rate // 1000,
        "memory_mhz": found.memory_clock_rate // 1000,
        "linux_usable_mib": found.total_memory / MIB,
    }
    environment = step_worker.environment(introspect.version())
    return {
        "card": facts,
        "figures": figures,
        "environment": msgspec.to_builtins(environment),
        "uuid": str(getattr(found, "uuid", "")),
    }


class _MemoryV2(ctypes.Structure):
    """``nvmlMemory_v2_t``; ``used`` there is without what the driver keeps for itself."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


def ask_driver(uuid: str, emit: step_worker.Emit) -> dict[str, Any]:
    """The driver's version, the card's memory and what is in use of it, and its power limit; None for what
    NVML does not say.

    In a process that has not opened the card: its own context would count.
    """
    found: dict[str, Any] = dict.fromkeys(("driver", "used_bytes", "total_bytes", "power_w"))
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        if nvml.nvmlInit_v2():
            return found
        text = ctypes.create_string_buffer(96)
        if nvml.nvmlSystemGetDriverVersion(text, 96) == 0:
            found["driver"] = text.value.decode(errors="replace")
        device = ctypes.c_void_p()
        name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        memory = _MemoryV2(version=ctypes.sizeof(_MemoryV2) | 2 << 24)
        if nvml.nvmlDeviceGetHandleByUUID(name.encode(), ctypes.byref(device)):
            return found
        if nvml.nvmlDeviceGetMemoryInfo_v2(device, ctypes.byref(memory)) == 0:
            found["used_bytes"], found["total_bytes"] = memory.used, memory.total
        milliwatts = ctypes.c_uint()
        if nvml.nvmlDeviceGetPowerManagementLimit(device, ctypes.byref(milliwatts)) == 0:
            found["power_w"] = milliwatts.value // 1000
    except (OSError, AttributeError):  # no NVML, or an old one
        pass
    return found
