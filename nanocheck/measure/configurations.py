"""Step configurations in, records out: each in a process of its own, none computed twice."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import platform
import re
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib import metadata
from types import TracebackType
from typing import Any, Protocol

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import NanocheckError
from nanocheck.core.result import Peak, Record
from nanocheck.process.jobs import Deadlines, Job, JobResult
from nanocheck.process.journal import Journal
from nanocheck.process.pool import Handle, Observer, Pool

TASK = "nanocheck.measure.step_worker:run"
#: Importing these takes seconds, a fork of a process that has them milliseconds. Optimizers need
#: ``torch._dynamo`` even in eager mode.
PRELOAD = ("torch", "torch._dynamo", "nanocheck.measure.step_worker")
PRELOAD_COMPILED = ("torch._inductor.compile_fx", "torch._inductor.async_compile")

#: For the server: no pool of compile processes before the fork, and the same order of sets and dicts
#: in every run, since the order in which tensors are made can move a peak.
_LAUNCH = {"TORCH_WARM_POOL": "0", "PYTHONHASHSEED": "0"}
#: torch 2.9 renamed the variable; older ones read only the second, newer ones prefer the first.
_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
#: What nanocheck/virtual/csrc/unimplemented.c says before it stops the process.
_UNANSWERED = re.compile(r"^nanocheck: (the virtual GPU does not answer .*)$", re.MULTILINE)
#: Outcomes that are answers. Others may be the machine's bad day, so a resumed run tries them again.
_ANSWERS = ("completed", "oom")


class OnDevice(Protocol):
    """What is asked of ``nanocheck.core.device.Device`` here."""

    @property
    def kind(self) -> str: ...

    def to_dict(self) -> dict[str, Any]: ...


class Pending:
    """A submitted configuration."""

    def __init__(self, measurement: Measurement, config: StepConfig) -> None:
        self.config = config
        self.record: Record | None = None
        self._measurement = measurement

    def result(self) -> Record:
        """Wait for this configuration; all others go on meanwhile.

        Raises:
            MachineError: no process can be started here at all.
        """
        if self.record is None:
            self._measurement._wait(self)
        assert self.record is not None
        return self.record


class Measurement:
    """Submit all configurations, then take each one's record.

    The server starts at the first wait, and only if something is not in the journal yet.

    Args:
        device: where to run.
        journal: finished answers (completed, oom) are taken from it and added to it.
        workers: children at once; a real GPU is never shared, so there it is one.
        deadlines: see ``Deadlines``; stages are those that the worker names.
        progress: called as ``progress(done, total, [(config id, stage), ...])``.
        task, preload: of the child; others only in tests.
        steps: optimizer steps, where the worker's own few are not enough.
    """

    def __init__(
        self,
        device: OnDevice,
        *,
        journal: Journal | None = None,
        workers: int = 2,
        deadlines: Deadlines | None = None,
        progress: Observer | None = None,
        task: str = TASK,
        preload: Sequence[str] | None = None,
        launch_environment: Mapping[str, str] | None = None,
        steps: int | None = None,
    ) -> None:
        self._device = device
        self._device_data = device.to_dict()
        self._journal = journal
        self._workers = 1 if device.kind == "real" else workers
        self._deadlines = deadlines
        self._progress = progress
        self._task = task
        self._preload = preload
        self._launch_environment = dict(launch_environment or {})
        self._more = {} if steps is None else {"steps": steps}
        self._pending: dict[str, Pending] = {}
        self._unsent: list[Pending] = []
        self._handles: dict[str, Handle] = {}
        self._pool: Pool | None = None
        self._from_journal = 0

    def __enter__(self) -> Measurement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, config: StepConfig) -> Pending:
        """Ask for a configuration; asking twice gives the same ``Pending``.

        Raises:
            StoredDataError: the journal holds a malformed record for it.
        """
        key = self.key(config)
        if key in self._pending:
            return self._pending[key]
        pending = self._pending[key] = Pending(self, config)
        if self._journal is not None and key in self._journal:
            pending.record = Record.from_dict(self._journal.get(key))
            self._from_journal += 1
        else:
            self._unsent.append(pending)
        return pending

    def key(self, config: StepConfig) -> str:
        """Name of a result in the journal: the configuration's id, the identity of device and steps."""
        identity = json.dumps({**self._device_data, **self._more}, sort_keys=True).encode()
        return f"{config.id}@{hashlib.sha256(identity).hexdigest()[:16]}"

    def poll(self) -> None:
        """Let the processes go on without waiting for any."""
        self._send()
        if self._pool is not None:
            self._pool.poll()

    def close(self) -> None:
        """Kill what runs. Idempotent; records already there stay."""
        if self._pool is not None:
            self._pool.close()

    def wait(self) -> None:
        """Until something changes: a configuration ended, or went on to its next stage."""
        self._send()
        if self._pool is not None:
            self._pool.wait()

    def _wait(self, pending: Pending) -> None:
        self._send()
        self._handles[pending.config.id].result()

    def _send(self) -> None:
        if not self._unsent:
            return
        pool = self._pool = self._pool or self._open()
        for pending in self._unsent:
            config = pending.config
            job = Job(
                id=config.id,
                task=self._task,
                payload={"config": config.to_dict(), "device": self._device_data, **self._more},
                environment=self._environment(config),
            )

            def done(result: JobResult, pending: Pending = pending) -> None:
                self._finish(pending, result)

            self._handles[config.id] = pool.submit(job, done)
        self._unsent.clear()

    def _open(self) -> Pool:
        launch = dict(_LAUNCH)
        if self._device.kind == "virtual":
            launch.update(_virtual().prepare().launch_environment())
        preload = self._preload
        if preload is None:
            compiled = any(methods.imports_compiler(each.config) for each in self._unsent)
            preload = (*PRELOAD, *(PRELOAD_COMPILED if compiled else ()))
        return Pool(
            self._workers,
            {**launch, **self._launch_environment},
            preload,
            self._deadlines,
            None if self._progress is None else self._show,
        )

    def _environment(self, config: StepConfig) -> dict[str, str | None]:
        conf = "expandable_segments:True" if config.allocator == "expandable" else None
        environment: dict[str, str | None] = dict.fromkeys(_ALLOCATOR_VARIABLES, conf)
        if self._device.kind == "virtual":
            environment.update(_virtual().card_environment(self._device))
        return environment

    def _show(self, done: int, total: int, running: Sequence[tuple[str, str]]) -> None:
        assert self._progress is not None
        self._progress(done + self._from_journal, total + self._from_journal, running)

    def _finish(self, pending: Pending, result: JobResult) -> None:
        record = to_record(pending.config, self._device, result)
        if self._journal is not None and record.outcome in _ANSWERS:
            self._journal.append(self.key(pending.config), record.to_dict())
        pending.record = record


def measure(
    configs: Iterable[StepConfig],
    device: OnDevice,
    *,
    journal: Journal | None = None,
    workers: int = 2,
    deadlines: Deadlines | None = None,
    progress: Observer | None = None,
    **options: Any,
) -> Generator[Record, None, None]:
    """Records as they finish, those of the journal first; one for each distinct configuration.

    Arguments and errors are those of ``Measurement``. Leaving early kills what still runs.
    """
    with Measurement(
        device, journal=journal, workers=workers, deadlines=deadlines, progress=progress, **options
    ) as measurement:
        waiting = list({id(each): each for each in map(measurement.submit, configs)}.values())
        while waiting:
            ended = [each for each in waiting if each.record is not None]
            waiting = [each for each in waiting if each.record is None]
            for pending in ended:
                yield pending.result()
            if waiting and not ended:
                measurement.wait()


def to_record(config: StepConfig, device: OnDevice, result: JobResult) -> Record:
    """The record of a job's result; whatever is no record becomes one that says why."""
    if result.outcome == "ok":
        try:
            record = Record.from_dict(result.value)
        except NanocheckError as error:
            return _failed(config, device, result, "crashed", f"the worker returned no record: {error}")
        if record.config != config:
            return _failed(config, device, result, "crashed", "the worker ran another configuration")
        return replace(record, seconds={**result.seconds, **record.seconds})
    if result.outcome == "timeout":
        return _failed(config, device, result, "timeout", result.reason)
    if result.error is not None and result.error.exit_code == 3:
        return _failed(config, device, result, "unsupported", result.reason)
    unanswered = _UNANSWERED.search(result.output)
    if unanswered is not None:
        return _failed(config, device, result, "unsupported", unanswered.group(1))
    return _failed(config, device, result, "crashed", result.reason)


def _failed(config: StepConfig, device: OnDevice, result: JobResult, outcome: str, why: str) -> Record:
    peaks, complaints = _partial_peaks(result.partials)
    parts = [why, *complaints]
    if result.error is not None:
        parts += [f"hint: {result.error.hint}"] if result.error.hint else []
        parts.append(result.error.traceback)
    if result.output:
        parts.append(f"output (the last of {result.output_bytes} bytes):\n{result.output}")
    # Only a process that ran can find out more; these much can be said from outside.
    provenance = {"real": "measured", "virtual": "virtual"}.get(device.kind, "computed")
    return Record(
        config=config,
        provenance=provenance,
        device=device.to_dict(),
        environment=_environment(),
        outcome=outcome,
        peaks=peaks,
        seconds=result.seconds,
        detail="\n".join(part.rstrip() for part in parts),
    )


def _partial_peaks(partials: Sequence[Any]) -> tuple[tuple[Peak, ...], list[str]]:
    """Peaks of all ``{"peaks": [...]}`` partials, and complaints about those that are none.

    A phase reported again counts once, with its later figures.
    """
    found: dict[tuple[str, int], Peak] = {}
    complaints = []
    for partial in partials:
        if isinstance(partial, dict) and isinstance(partial.get("peaks"), list):
            for data in partial["peaks"]:
                try:
                    peak = Peak(**data)
                    found[peak.phase, peak.step] = peak
                except TypeError as error:
                    complaints.append(f"malformed partial peak {data!r}: {error}")
    return tuple(found.values()), complaints


def _environment() -> dict[str, str]:
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = "missing"
    return {"torch": torch, "python": platform.python_version(), "os": f"{os.uname().sysname}"}


def _virtual() -> Any:
    """Imported late: building the virtual GPU needs a compiler, which other devices do not."""
    return importlib.import_module("nanocheck.virtual")
