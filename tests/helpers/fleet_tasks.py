"""What stations of a fleet run in tests: it says where it ran, and misbehaves by seed. No torch here."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from paths import HELPERS, ROOT

from nanocheck.core.config import StepConfig
from nanocheck.core.result import Environment, Outcome, ProcessMemory, Provenance, RunResult
from nanocheck.measuring.task import Task

ABORTS, HANGS, HELD, ENDS_ITS_STATION = 1, 3, 7, 8


def result(payload: Any, emit: Callable[[str, Any], None]) -> Any:
    """Stands for ``nanocheck.measuring.step_worker:run``."""
    task = msgspec.convert(payload, Task)
    folder = Path(os.environ["FLEET_FOLDER"])
    start = time.monotonic()
    line = {
        "batch": task.config.batch,
        "gpu": task.device.gpu,
        "node": os.environ.get("FLEET_NODE"),
        "card": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "pid": os.getpid(),
        "server": os.getppid(),
    }
    with (folder / "begun").open("a") as file:
        file.write(json.dumps(line) + "\n")
    if task.config.seed == ABORTS:
        os.abort()
    if task.config.seed == HANGS:
        emit("stage", "hanging")
        time.sleep(60)
    if task.config.seed == ENDS_ITS_STATION:
        status = Path(f"/proc/{os.getppid()}/status").read_text()
        station = next(int(row.split()[1]) for row in status.splitlines() if row.startswith("PPid"))
        os.kill(station, signal.SIGKILL)
        time.sleep(60)
    while task.config.seed == HELD and (folder / "hold").exists() and time.monotonic() < start + 60:
        time.sleep(0.02)
    if os.environ.get("FLEET_SECONDS"):
        time.sleep(float(os.environ["FLEET_SECONDS"]))
    with (folder / "ended").open("a") as file:
        file.write(json.dumps({**line, "from": start, "until": time.monotonic()}) + "\n")
    found = RunResult(
        config=task.config,
        provenance=Provenance.VIRTUAL,
        device=task.device,
        environment=Environment(python="3"),
        outcome=Outcome.COMPLETED,
        processes=(ProcessMemory(allocated_bytes=task.config.batch),),
        micro_batches=1,
    )
    return msgspec.to_builtins(found)


def options(folder: Path, **variables: str) -> dict[str, Any]:
    """Of a ``FleetMeasurement`` whose configurations are this module's."""
    path = f"{HELPERS}:{ROOT}"
    launch = {"PYTHONPATH": path, "FLEET_FOLDER": str(folder), **variables}
    return {
        "task": "fleet_tasks:result",
        "preload": (),
        "launch_environment": tuple(launch.items()),
    }


def runs(folder: Path, which: str = "ended") -> list[dict[str, Any]]:
    """What has begun, or ended, in that order."""
    path = folder / which
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def configs(*batches: int, seed: int = 0) -> list[StepConfig]:
    return [StepConfig(batch=batch, seed=seed) for batch in batches]


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Until it holds.

    Raises:
        AssertionError: it does not in so many seconds.
    """
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process still runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
