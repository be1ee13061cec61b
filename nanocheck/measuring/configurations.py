"""Step configurations in, results out: each in a process of its own, none computed twice."""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
from collections.abc import Generator, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device, Target
from nanocheck.core.errors import MachineError, StoredDataError
from nanocheck.core.files import to_typed
from nanocheck.core.result import Environment, Outcome, ProcessMemory, Provenance, RunResult
from nanocheck.measuring.task import Seen, Task
from nanocheck.process.jobs import Deadlines, Job, JobResult
from nanocheck.process.journal import Journal
from nanocheck.process.pool import Handle, Observer, Pool
from nanocheck.process.scratch import Scratch
from nanocheck.tracing.kernel_list import kernel_lists

TASK = "nanocheck.measuring.step_worker:run"
#: Importing these takes seconds, a fork of a process that has them milliseconds. Optimizers need
#: ``torch._dynamo`` even in eager mode.
PRELOAD = ("torch", "torch._dynamo", "nanocheck.measuring.step_worker")
PRELOAD_COMPILED = ("torch._inductor.compile_fx", "torch._inductor.async_compile")

#: For each stage of a run that somebody waits for: large models take minutes to compile on a busy machine,
#: and a run that was given up sends a search the wrong way.
PATIENT = Deadlines(default=1200.0)

#: For the server: no pool of compile processes before the fork, and the same order of sets and dicts
#: in every run, since the order in which tensors are made can move a peak.
_LAUNCH = {"TORCH_WARM_POOL": "0", "PYTHONHASHSEED": "0"}
#: torch 2.9 renamed the variable; older ones read only the second, newer ones prefer the first.
ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
#: Behind the name of a run whose step is recorded.
_RECORDED = " (recorded)"
#: What nanocheck/virtual/csrc/base/report.c says before it stops the process.
_UNANSWERED = re.compile(r"^nanocheck: (the virtual GPU does not answer .*)$", re.MULTILINE)


class Pending:
    """A submitted configuration; ``recorded``: with the kernels of a step."""

    def __init__(self, measurement: Measurement, config: StepConfig, *, recorded: bool = False) -> None:
        self.config = config
        self.recorded = recorded
        self.found: RunResult | None = None
        self._measurement = measurement

    def result(self) -> RunResult:
        """Wait for this configuration; all others go on meanwhile.

        Raises:
            MachineError: no process can be started here at all.
        """
        if self.found is None:
            self._measurement._wait(self)
        assert self.found is not None
        return self.found


class Measurement:
    """Submit all configurations, then take each one's result.

    The server starts at the first wait, and only if something is not in the journal yet.

    Args:
        target: where to run.
        journal: finished answers (completed, oom) are taken from it and added to it.
        workers: children at once; a real GPU is never shared, so there it is one.
        deadlines: see ``Deadlines``; stages are those that the worker names.
        progress: called as ``progress(done, total, [(config id, stage), ...])``.
        task, preload: of the child; others only in tests.
        steps: exactly so many optimizer steps; ``None``: until the peak has settled.
        trace: folder in which each configuration's step is recorded, in one of its own (``trace_folder``),
            and timed; answers of a journal bring none. See ``submit`` for recording some.
    """

    def __init__(
        self,
        target: Target,
        *,
        journal: Journal | None = None,
        workers: int = 2,
        deadlines: Deadlines | None = None,
        progress: Observer | None = None,
        task: str = TASK,
        preload: Sequence[str] | None = None,
        launch_environment: Mapping[str, str] | None = None,
        steps: int | None = None,
        trace: Path | None = None,
    ) -> None:
        self._trace = trace
        self._records: Scratch | None = None
        self._target = target
        self._device = target.device
        self._journal = journal
        self._workers = 1 if target.kind == "real" else workers
        self._deadlines = deadlines
        self._progress = progress
        self._task = task
        self._preload = preload
        self._launch_environment = dict(launch_environment or {})
        self._steps = steps
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

    def submit(self, config: StepConfig, *, record: bool = False) -> Pending:
        """Ask for a configuration; asking twice gives the same ``Pending``.

        Args:
            record: go on for some steps once memory is known, time them, and record the kernels of one: its
                result has ``main.kernels`` and ``main.host_time``, in the journal, too.

        Raises:
            StoredDataError: the journal holds a malformed record for it.
        """
        key = self.key(config) + (_RECORDED if record else "")
        if not record and key not in self._pending and key + _RECORDED in self._pending:
            key += _RECORDED  # its peaks are the same
        if key in self._pending:
            return self._pending[key]
        pending = self._pending[key] = Pending(self, config, recorded=record)
        if self._journal is not None and key in self._journal:
            pending.found = _of_journal(self._journal, key)
            self._from_journal += 1
        else:
            self._unsent.append(pending)
        return pending

    def key(self, config: StepConfig) -> str:
        """Name of a result in the journal: the configuration's id, the identity of device and steps."""
        identity = msgspec.json.encode([self._device, self._steps])
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
        if self._records is not None:
            self._records.remove()

    def wait(self) -> None:
        """Until something changes: a configuration ended, or went on to its next stage."""
        self._send()
        if self._pool is not None:
            self._pool.wait()

    def _wait(self, pending: Pending) -> None:
        self._send()
        self._handles[_job_id(pending)].result()

    def _send(self) -> None:
        if not self._unsent:
            return
        pool = self._pool = self._pool or self._open()
        for pending in self._unsent:
            config = pending.config
            task = Task(config=config, device=self._device, steps=self._steps)
            trace = self._folder_of_records() if pending.recorded else self._trace
            if trace is not None:
                folder = trace_folder(trace, config)
                folder.mkdir(parents=True, exist_ok=True)
                task = msgspec.structs.replace(task, trace=str(folder.absolute()))
            job = Job(
                id=_job_id(pending),
                task=self._task,
                payload=msgspec.to_builtins(task),
                environment=job_environment(config, self._target),
            )

            def done(result: JobResult, pending: Pending = pending) -> None:
                self._finish(pending, result)

            self._handles[job.id] = pool.submit(job, done)
        self._unsent.clear()

    def _folder_of_records(self) -> Path:
        self._records = self._records or Scratch("records")
        return self._records.path

    def _open(self) -> Pool:
        launch = launch_environment(self._target)
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

    def _show(self, done: int, total: int, running: Sequence[tuple[str, str]]) -> None:
        assert self._progress is not None
        self._progress(done + self._from_journal, total + self._from_journal, running)

    def _finish(self, pending: Pending, result: JobResult) -> None:
        found = to_result(pending.config, self._device, result)
        if pending.recorded:
            folder = trace_folder(self._folder_of_records(), pending.config)
            found = with_kernels(found, folder)
            shutil.rmtree(folder, ignore_errors=True)  # some megabytes each
        # Other outcomes may be the machine's bad day, so a resumed run tries them again.
        if self._journal is not None and found.outcome.is_answer:
            key = self.key(pending.config) + (_RECORDED if pending.recorded else "")
            self._journal.append(key, msgspec.to_builtins(found))
        pending.found = found


def measure(
    configs: Iterable[StepConfig],
    target: Target,
    *,
    journal: Journal | None = None,
    workers: int = 2,
    deadlines: Deadlines | None = None,
    progress: Observer | None = None,
    **options: Any,
) -> Generator[RunResult, None, None]:
    """Results as they finish, those of the journal first; one for each distinct configuration.

    Arguments and errors are those of ``Measurement``. Leaving early kills what still runs.
    """
    with Measurement(
        target, journal=journal, workers=workers, deadlines=deadlines, progress=progress, **options
    ) as measurement:
        waiting = list({id(each): each for each in map(measurement.submit, configs)}.values())
        while waiting:
            ended = [each for each in waiting if each.found is not None]
            waiting = [each for each in waiting if each.found is None]
            for pending in ended:
                yield pending.result()
            if waiting and not ended:
                measurement.wait()


def trace_folder(trace: Path, config: StepConfig) -> Path:
    """Where a configuration's step is recorded, for ``tracing.kernel_list.kernel_lists``."""
    return trace / config.id


def with_kernels(result: RunResult, folder: Path) -> RunResult:
    """A configuration's result with the step that was recorded in the folder, if one was."""
    config = result.config
    if config is None or not result.processes or result.outcome is not Outcome.COMPLETED:
        return result
    tokens = config.batch * config.accumulation * config.block_size
    try:
        kernels = next(iter(kernel_lists(folder, tokens)), None)
    except StoredDataError:  # a damaged trace costs the time, not the answer about memory
        kernels = None
    first = msgspec.structs.replace(result.processes[0], kernels=kernels)
    return msgspec.structs.replace(result, processes=(first, *result.processes[1:]))


def _job_id(pending: Pending) -> str:
    return pending.config.id + (_RECORDED if pending.recorded else "")


def launch_environment(target: Target) -> dict[str, str]:
    """What the server of a target's processes finds in its environment.

    Raises:
        MachineError: the virtual GPU cannot be built here.
    """
    launch = dict(_LAUNCH)
    if target.kind == "virtual":
        from nanocheck.virtual import prepare  # needs a compiler, which other devices do not

        launch.update(prepare().launch_environment())
    return launch


def job_environment(config: StepConfig, target: Target) -> dict[str, str | None]:
    """What one configuration's process finds beside it; ``None`` unsets a variable."""
    conf = "expandable_segments:True" if config.allocator == "expandable" else None
    environment: dict[str, str | None] = dict.fromkeys(ALLOCATOR_VARIABLES, conf)
    if target.kind == "virtual":
        from nanocheck.virtual import card_environment

        environment.update(card_environment(target))
    return environment


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


def _of_journal(journal: Journal, key: str) -> RunResult:
    hint = f"rm {journal.path}   # its results are then computed again"
    return to_typed(journal.get(key), RunResult, what="a result", where=str(journal.path), hint=hint)


def _environment() -> Environment:
    """What can be said from outside of a process that said nothing."""
    try:
        torch = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = None
    return Environment(torch=torch, python=platform.python_version(), os=platform.system())
