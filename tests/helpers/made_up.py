"""Results that no run produced, for the tests of everything that only reads results."""

from __future__ import annotations

from typing import Any

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device, Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import (
    Environment,
    Outcome,
    OutOfMemory,
    Peak,
    ProcessMemory,
    Provenance,
    RunResult,
)
from nanocheck.core.units import MIB

TARGET = Target(kind="virtual", gpu=find_gpu("rtx4070"))
DEVICE = TARGET.device
ENVIRONMENT = Environment(torch="2.14.1+cu130", cuda="13.0", python="3.12.3", os="Linux", nanocheck="0.1.0")


def device(**changes: Any) -> Device:
    """The card of all made-up results, with other fields."""
    return msgspec.structs.replace(DEVICE, **changes)


def environment(**changes: Any) -> Environment:
    return msgspec.structs.replace(ENVIRONMENT, **changes)


def peaks(allocated: int = 8000 * MIB, reserved: int = 9000 * MIB, steps: int = 3) -> tuple[Peak, ...]:
    """Three phases per step; the backward holds the peak."""
    return tuple(
        Peak(
            phase=phase,
            step=step,
            allocated_bytes=allocated * part // 100,
            reserved_bytes=reserved * part // 100,
            requested_bytes=allocated * part // 100 - 1,
        )
        for step in range(steps)
        for phase, part in (("forward", 90), ("backward", 100), ("optimizer", 70))
    )


def result(config: StepConfig | None = None, **changes: Any) -> RunResult:
    """A safe completed run, unless told otherwise.

    Args:
        changes: fields of the result, or of its one process.
    """
    of_process = {"peaks": peaks(), "attention": "flash"} | {
        name: changes.pop(name) for name in ProcessMemory.__struct_fields__ if name in changes
    }
    shown = of_process["peaks"]
    values: dict[str, Any] = {
        "config": config or StepConfig(),
        "provenance": Provenance.VIRTUAL,
        "device": DEVICE,
        "environment": ENVIRONMENT,
        "outcome": Outcome.COMPLETED,
        "micro_batches": 1,
        "seconds": {"steps": 0.5},
        "processes": (
            ProcessMemory(
                **{
                    "allocated_bytes": max((each.allocated_bytes for each in shown), default=0),
                    "reserved_bytes": max((each.reserved_bytes for each in shown), default=0),
                    **of_process,
                }
            ),
        ),
    }
    values |= changes
    values["outcome"] = Outcome(values["outcome"])
    values["provenance"] = Provenance(values["provenance"])
    return RunResult(**values)


def oom_result(config: StepConfig | None = None, **changes: Any) -> RunResult:
    """A run that ran out of memory in the first backward, at the nanoGPT note's buffer."""
    oom = OutOfMemory(
        phase="backward",
        step=0,
        requested_bytes=1_648_361_472,
        exact=True,
        shape=(16, 1024, 50304),
        line="buf1 = empty_strided_cuda((16, 1024, 50304), (51511296, 50304, 1), torch.bfloat16)",
        message="CUDA out of memory. Tried to allocate 1.54 GiB.",
    )
    return result(
        config, **{"outcome": "oom", "oom": oom, "ooms": 1, "retries": 1, "peaks": peaks(steps=1), **changes}
    )
