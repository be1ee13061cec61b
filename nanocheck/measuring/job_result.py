"""What came of a configuration's process: its result, or one that says why there is none."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.errors import MachineError, StoredDataError
from nanocheck.core.files import to_typed
from nanocheck.core.result import Environment, Outcome, ProcessMemory, Provenance, RunResult
from nanocheck.measuring.task import Seen
from nanocheck.process.jobs import JobResult

#: What nanocheck/virtual/csrc/base/report.c says before it stops the process.
_UNANSWERED = re.compile(r"^nanocheck: (the virtual GPU does not answer .*)$", re.MULTILINE)


def to_result(config: StepConfig, device: Device, job: JobResult) -> RunResult:
    """The result of a job; whatever is none becomes one that says why."""
    if job.outcome == "ok":
        try:
            found = to_typed(job.value, RunResult, what="result", where=config.id, hint=None)
        except StoredDataError as error:
            return _failed(config, device, job, Outcome.CRASHED, f"the worker returned no result: {error}")
        if found.config != config:
            return _failed(config, device, job, Outcome.CRASHED, "the worker ran another configuration")
        return msgspec.structs.replace(found, seconds={**job.seconds, **found.seconds})
    if job.outcome == "timeout":
        return _failed(config, device, job, Outcome.TIMEOUT, job.reason)
    if job.error is not None and job.error.exit_code == MachineError.exit_code:
        return _failed(config, device, job, Outcome.UNSUPPORTED, job.reason)
    unanswered = _UNANSWERED.search(job.output)
    if unanswered is not None:
        return _failed(config, device, job, Outcome.UNSUPPORTED, unanswered.group(1))
    return _failed(config, device, job, Outcome.CRASHED, job.reason)


def _failed(config: StepConfig, device: Device, job: JobResult, outcome: Outcome, why: str) -> RunResult:
    seen, complaints = _last_seen(job.partials)
    parts = [why, *complaints]
    if job.error is not None:
        parts += [f"hint: {job.error.hint}"] if job.error.hint else []
        parts.append(job.error.traceback)
    if job.output:
        parts.append(f"output (the last of {job.output_bytes} bytes):\n{job.output}")
    process = ProcessMemory(
        allocated_bytes=max((peak.allocated_bytes for peak in seen.peaks), default=0),
        reserved_bytes=max((peak.reserved_bytes for peak in seen.peaks), default=0),
        peaks=seen.peaks,
    )
    return RunResult(
        config=config,
        provenance=seen.provenance,
        device=device,
        environment=seen.environment,
        outcome=outcome,
        processes=(process,) if seen.peaks else (),
        seconds=job.seconds,
        detail="\n".join(part.rstrip() for part in parts),
    )


def _last_seen(partials: Sequence[Any]) -> tuple[Seen, list[str]]:
    """What the process last said of itself, and complaints about what is no such thing.

    Only a process that ran can say on what it ran; without its word, provenance is unknown.
    """
    found = Seen(provenance=Provenance.UNKNOWN, environment=_environment())
    complaints = []
    for partial in partials:
        try:
            found = msgspec.convert(partial, Seen)
        except msgspec.ValidationError as error:
            complaints.append(f"malformed partial result {partial!r:.200}: {error}")
    return found, complaints


def _environment() -> Environment:
    """What can be said from outside of a process that said nothing."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = None
    return Environment(torch=torch, python=platform.python_version(), os=platform.system())
