"""Records that no run produced, for the tests of everything that only reads records."""

from __future__ import annotations

from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.core.result import OutOfMemory, Peak, Record
from nanocheck.core.units import MIB

DEVICE = {
    "gpu": "rtx4070",
    "name": "NVIDIA GeForce RTX 4070",
    "platform": "linux",
    "capability": [8, 9],
    "capacity_bytes": 11_874 * MIB,
    "context_bytes": 430 * MIB,
    "reserve_bytes": 0,
    "capped_from": None,
}
ENVIRONMENT = {
    "torch": "2.14.1+cu130",
    "cuda": "13.0",
    "python": "3.12.3",
    "os": "Linux",
    "nanocheck": "0.1.0",
}


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


def record(config: StepConfig | None = None, **changes: Any) -> Record:
    """A safe completed run, unless told otherwise."""
    values: dict[str, Any] = {
        "config": config or StepConfig(),
        "provenance": "virtual",
        "device": DEVICE,
        "environment": ENVIRONMENT,
        "outcome": "completed",
        "peaks": peaks(),
        "micro_batches": 1,
        "sdpa_backend": "flash",
        "seconds": {"steps": 0.5},
    }
    return Record(**{**values, **changes})


def oom_record(config: StepConfig | None = None, **changes: Any) -> Record:
    """A run that died in the first backward, at note A's buffer."""
    oom = OutOfMemory(
        phase="backward",
        step=0,
        requested_bytes=1_648_361_472,
        exact=True,
        shape=(16, 1024, 50304),
        line="buf1 = empty_strided_cuda((16, 1024, 50304), (51511296, 50304, 1), torch.bfloat16)",
        message="CUDA out of memory. Tried to allocate 1.54 GiB.",
    )
    return record(
        config, **{"outcome": "oom", "oom": oom, "ooms": 1, "retries": 1, "peaks": peaks(steps=1), **changes}
    )
