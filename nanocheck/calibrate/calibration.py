"""A card measured, by a process of its own; this one keeps what it found, as it finds it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.calibrate.workloads import USED_UP, Workload, workloads
from nanocheck.core.anonymous import anonymous
from nanocheck.core.calibration import CalibratedCard, CalibrationFile, Measurement, Timing, judged
from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.core.result import Environment, Provenance
from nanocheck.core.steadiness import Load
from nanocheck.measuring.configurations import launch_environment
from nanocheck.process.jobs import Job, JobResult
from nanocheck.process.pool import Pool
from nanocheck.process.scratch import Scratch

#: Called with the number of measurements that are done, how many there are, and what runs now.
Show = Callable[[int, int, Sequence[tuple[str, str]]], None]
Keep = Callable[[CalibrationFile], None]

#: Nothing takes longer, whatever was asked for.
MOST_S = 240.0
#: To import torch, describe the card and end: the worker stops measuring so long before the end.
_RESERVE_S = 8.0
#: A share of busy time that a display makes, too.
_QUIET_PERCENT = 10
#: Why a rehearsal has no seconds.
REHEARSED = "rehearsal: the virtual card computes nothing"
INTERRUPTED = "interrupted"
_WORKER = "nanocheck.calibrate.card_worker"
_TICK = 0.05


def calibrate(
    target: Target,
    *,
    seconds: float,
    date: str,
    gpu: str | None,
    keep: Keep,
    show: Show,
    only: Sequence[str] | None = None,
) -> CalibrationFile:
    """The whole file; an interruption or a death of the worker ends it, and what was measured stays.

    Args:
        target: the card, real or virtual.
        seconds: for everything, torch's import included; at most ``MOST_S``.
        gpu: the card's id in the catalog.
        keep: called with everything so far after each measurement.
        only: ids of workloads; all by default.

    Raises:
        MachineError: no process can use the card, or it has not the card to itself.
    """
    until = time.monotonic() + min(seconds, MOST_S)
    virtual = target.kind == "virtual"
    chosen = [each for each in workloads() if only is None or each.id in only]
    preload = ("torch", "torch._dynamo", _WORKER)
    with Scratch("calibrate") as folder, Pool(1, launch_environment(target), preload) as pool:
        worker = _Worker(pool, target, until)
        said = worker.ask("describe", None)
        environment = msgspec.convert(said["environment"], Environment)
        if (environment.virtual_gpu is not None) != virtual:
            raise MachineError(
                f"expected {'the virtual GPU' if virtual else 'a real card'} in a process of its own, found "
                f"{'a real card' if virtual else 'the virtual GPU'}",
                hint="unset LD_PRELOAD and NANOCHECK_CARD",
            )
        before = worker.ask("neighbours", said["uuid"])
        others = "" if virtual else seen_beside_us(before)
        if others:
            raise MachineError(
                f"expected a card that does nothing else, found {others}",
                hint="end what else runs on it (nvidia-smi names it), or choose another card with "
                "CUDA_VISIBLE_DEVICES",
            )
        begun = CalibrationFile(
            provenance=Provenance.VIRTUAL if virtual else Provenance.MEASURED,
            date=date,
            gpu=gpu,
            card=msgspec.convert({**said["card"], **before["limits"]}, CalibratedCard),
            driver=None if virtual else before["driver"],
            environment=environment,
        )
        path = folder / "measured.jsonl"
        payload = {
            "uuid": said["uuid"],
            "path": str(path),
            "seconds": until - _RESERVE_S - time.monotonic(),
            "only": None if only is None else list(only),
        }
        why = _follow(worker, payload, path, chosen, begun, keep, show)
        found = _so_far(begun, path, chosen, why or "not reached")
        if not virtual and not why:
            # Processes alone: the share of busy time is still ours.
            after = worker.ask("neighbours", said["uuid"])
            found = msgspec.structs.replace(found, others=seen_beside_us({**after, "busy_percent": None}))
        found = msgspec.structs.replace(found, complete=not why and not _out_of_time(found))
    keep(found)
    return found


def _follow(
    worker: _Worker,
    payload: Mapping[str, Any],
    path: Path,
    chosen: Sequence[Workload],
    begun: CalibrationFile,
    keep: Keep,
    show: Show,
) -> str:
    """Until the worker ends; why it did not come to its end, or nothing."""
    known = -1
    try:
        handle = worker.submit("measure", payload)
        while not handle.done:
            worker.pool.poll()
            so_far = _so_far(begun, path, chosen, "not reached")
            done = sum(each.refused != "not reached" for each in so_far.measurements)
            if done > known:
                known = done
                keep(so_far)
            now = chosen[done].id if done < len(chosen) else ""
            show(done, len(chosen), [(now, "measuring")] if now else [])
            time.sleep(_TICK)
        ended: JobResult = handle.result()
    except KeyboardInterrupt:
        return INTERRUPTED
    return "" if ended.outcome == "ok" else f"not measured: {anonymous(ended.reason)}"


class _Worker:
    """Jobs for the card's process.

    Args:
        until: on the monotonic clock; no job lasts longer.
    """

    def __init__(self, pool: Pool, target: Target, until: float) -> None:
        self.pool, self._target, self._until = pool, target, until

    def submit(self, task: str, payload: Any) -> Any:
        environment: Mapping[str, str | None] = {}
        if self._target.kind == "virtual":
            from nanocheck.virtual import card_environment

            environment = dict(card_environment(self._target))
        left = max(1.0, self._until - time.monotonic())
        stages = dict.fromkeys(("start", "import", "run", *(each.id for each in workloads())), left)
        job = Job(
            id=task,
            task=f"{_WORKER}:{task}",
            payload=payload,
            environment={
                name: value
                for name, value in environment.items()
                if name not in ("LD_PRELOAD", "PYTHONHASHSEED")
            },
            deadlines=stages,
        )
        return self.pool.submit(job)

    def ask(self, task: str, payload: Any) -> Any:
        """
        Raises:
            MachineError: it had no answer.
        """
        ended: JobResult = self.submit(task, payload).result()
        if ended.outcome != "ok":
            raise MachineError(
                f"expected a process that uses {self._target.gpu.name}, found: {ended.reason}",
                hint="nanocheck doctor",
            )
        return ended.value


def seen_beside_us(said: Mapping[str, Any]) -> str:
    """What else is on a card on which we are not, in words; empty: nothing."""
    found = []
    if said["processes"]:
        found.append(f"{said['processes']} other process{'es' if said['processes'] > 1 else ''}")
    if (said["busy_percent"] or 0) > _QUIET_PERCENT:
        found.append(f"{said['busy_percent']} % of its time in use")
    return " and ".join(found)


def _so_far(begun: CalibrationFile, path: Path, chosen: Sequence[Workload], left: str) -> CalibrationFile:
    """With what the worker has written until now; ``left`` is said of what it has not."""
    found = {line["id"]: line for line in read_lines(path)}
    virtual = begun.is_rehearsal
    rows = tuple(measurement(each, found.get(each.id), virtual=virtual, left=left) for each in chosen)
    return msgspec.structs.replace(begun, measurements=rows)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What was written, without a last line that is not whole: the worker may be writing, or was killed."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    whole, _, _ = text.rpartition("\n")
    return [json.loads(line) for line in whole.splitlines()]


def measurement(
    workload: Workload, line: Mapping[str, Any] | None, *, virtual: bool, left: str = "not reached"
) -> Measurement:
    """What was measured of a workload, and whether it counts. The virtual card's seconds are dropped here."""

    def of(refused: str, timing: Timing | None = None, load: Load | None = None) -> Measurement:
        return Measurement(
            id=workload.id,
            what=workload.what,
            kernel=workload.kernel,
            timing=timing,
            load=load,
            refused=refused,
        )

    if line is None:
        return of(left)
    if "failed" in line:
        return of(anonymous(line["failed"]) or "failed without a word")
    if virtual:
        return of(REHEARSED)
    timing = msgspec.convert(line["timing"], Timing)
    load = msgspec.convert(line["load"], Load)
    return of(judged(timing, load), timing, load)


def _out_of_time(file: CalibrationFile) -> bool:
    return any(each.refused == USED_UP for each in file.measurements)
