"""What runs in a process of its own on the card. Each function is a task of the pool."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import msgspec
import torch

from nanocheck.calibrate import card_calls
from nanocheck.calibrate.stopwatches import CardStopwatch, HostStopwatch
from nanocheck.calibrate.timing import FIRST, HEATING, REHEARSAL, USUAL, Effort, time_of
from nanocheck.calibrate.workloads import USED_UP, Workload, workloads
from nanocheck.measuring import step_worker
from nanocheck.observe import introspect
from nanocheck.observe.card_monitor import CardMonitor

#: Less is not worth a start.
_LEAST_S = 2.0


def describe(payload: None, emit: step_worker.Emit) -> dict[str, Any]:
    """The card as CUDA has it, the environment, and the card's UUID, which nobody keeps."""
    found = torch.cuda.get_device_properties(0)
    return {
        "card": {
            "name": found.name,
            "capability": f"{found.major}.{found.minor}",
            "multiprocessors": found.multi_processor_count,
            "usable_bytes": found.total_memory,
            "l2_bytes": found.L2_cache_size,
            "boost_mhz": found.clock_rate // 1000,
            "memory_mhz": found.memory_clock_rate // 1000,
            "bus_width_bits": found.memory_bus_width,
        },
        "environment": msgspec.to_builtins(step_worker.environment(introspect.version())),
        "uuid": str(getattr(found, "uuid", "")),
    }


def neighbours(uuid: str, emit: step_worker.Emit) -> dict[str, Any]:
    """Who else is on the card, and its power limits; in a process that has not opened it."""
    monitor = CardMonitor(uuid)
    time.sleep(0.3)  # the share of busy time is of the last sixth of a second or of a whole one
    return {
        "driver": monitor.driver(),
        "limits": monitor.power_limits(),
        "processes": monitor.computing_processes(),
        "busy_percent": monitor.busy_percent(),
    }


def measure(payload: dict[str, Any], emit: step_worker.Emit) -> int:
    """Every workload, a line of ``payload["path"]`` for each as soon as it is known; how many.

    A line: ``id``, and ``timing`` with ``load``, or ``failed`` with a word why.
    """
    until = time.monotonic() + payload["seconds"]
    virtual = introspect.version() is not None
    monitor = CardMonitor(payload["uuid"])
    chosen = [each for each in workloads() if payload["only"] is None or each.id in payload["only"]]
    with Path(payload["path"]).open("a", encoding="utf-8") as lines:
        for number, workload in enumerate(chosen):
            emit("stage", workload.id)
            effort = REHEARSAL if virtual else FIRST if number == 0 else HEATING if workload.heats else USUAL
            left = until - time.monotonic()
            found = {"failed": USED_UP} if left < _LEAST_S else _measured(workload, effort, monitor)
            lines.write(json.dumps({"id": workload.id, **found}) + "\n")
            lines.flush()
            torch.cuda.empty_cache()
    return len(chosen)


def _measured(workload: Workload, effort: Effort, monitor: CardMonitor) -> dict[str, Any]:
    free, _ = torch.cuda.mem_get_info()
    if workload.needs_bytes > 0.9 * free:
        return {"failed": f"needs {workload.needs_bytes} bytes of the card, {free} are free"}
    watch = HostStopwatch() if workload.by_host else CardStopwatch()
    try:
        call, parts = card_calls.prepared(workload)
        with monitor.watched() as load:
            timing = time_of(call, watch, effort, parts=parts)
    except Exception as error:  # a card without flash attention, a kernel that this torch lacks
        return {"failed": f"{type(error).__name__}: {error}"}
    return {"timing": msgspec.to_builtins(timing), "load": load}
