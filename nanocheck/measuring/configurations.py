"""Step configurations in, results out: each in a process of its own, none computed twice."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import StoredDataError
from nanocheck.core.result import Outcome, RunResult
from nanocheck.measuring.job_result import to_result
from nanocheck.measuring.stored_results import RECORDED, result_key, stored_result
from nanocheck.measuring.task import Task
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


class Pending:
    """A submitted configuration; ``target``: where; ``recorded``: with the kernels of a step."""

    def __init__(
        self, measurement: Measurement, config: StepConfig, target: Target, *, recorded: bool = False
    ) -> None:
        self.config = config
        self.target = target
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
        target: where to run what is submitted without a target of its own.
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

    def submit(self, config: StepConfig, *, record: bool = False, target: Target | None = None) -> Pending:
        """Ask for a configuration; asking twice gives the same ``Pending``.

        Args:
            target: another card of the same kind; one server starts the processes of all of them.
            record: go on for some steps once memory is known, time them, and record the kernels of one: its
                result has ``main.kernels`` and ``main.host_time``, in the journal, too.

        Raises:
            StoredDataError: the journal holds a malformed record for it.
            ValueError: the target is of another kind, real or virtual, than the measurement's.
        """
        target = target or self._target
        if target.kind != self._target.kind:
            raise ValueError(f"expected a {self._target.kind} card, found a {target.kind} one")
        key = self.key(config, target) + (RECORDED if record else "")
        if not record and key not in self._pending and key + RECORDED in self._pending:
            key += RECORDED  # its peaks are the same
        if key in self._pending:
            return self._pending[key]
        pending = self._pending[key] = Pending(self, config, target, recorded=record)
        if self._journal is not None and key in self._journal:
            pending.found = stored_result(self._journal, key)
            self._from_journal += 1
        else:
            self._unsent.append(pending)
        return pending

    def key(self, config: StepConfig, target: Target | None = None) -> str:
        """Name of a result in the journal: the configuration's id, the identity of device and steps."""
        return result_key(config, (target or self._target).device, self._steps)

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

    def wait(self, timeout: float | None = None) -> None:
        """Until something changes: a configuration ended, or went on to its next stage; or for so long."""
        self._send()
        if self._pool is not None:
            self._pool.wait(timeout)

    def _wait(self, pending: Pending) -> None:
        self._send()
        self._handles[self._job_id(pending)].result()

    def _send(self) -> None:
        if not self._unsent:
            return
        pool = self._pool = self._pool or self._open()
        for pending in self._unsent:
            config = pending.config
            task = Task(config=config, device=pending.target.device, steps=self._steps)
            folder = self._folder(pending)
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
                task = msgspec.structs.replace(task, trace=str(folder.absolute()))
            job = Job(
                id=self._job_id(pending),
                task=self._task,
                payload=msgspec.to_builtins(task),
                environment=job_environment(config, pending.target),
            )

            def done(result: JobResult, pending: Pending = pending) -> None:
                self._finish(pending, result)

            self._handles[job.id] = pool.submit(job, done)
        self._unsent.clear()

    def _job_id(self, pending: Pending) -> str:
        """Unique; as people know it where it runs on the card that everything runs on."""
        elsewhere = pending.target.device != self._target.device
        return (self.key(pending.config, pending.target) if elsewhere else pending.config.id) + (
            RECORDED if pending.recorded else ""
        )

    def _folder(self, pending: Pending) -> Path | None:
        """Where its step is recorded, if it is."""
        if pending.recorded:
            self._records = self._records or Scratch("records")
            return self._records.path / self._job_id(pending)
        return None if self._trace is None else trace_folder(self._trace, pending.config)

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
        found = to_result(pending.config, pending.target.device, result)
        folder = self._folder(pending)
        if pending.recorded and folder is not None:
            found = with_kernels(found, folder)
            shutil.rmtree(folder, ignore_errors=True)  # some megabytes each
        # Other outcomes may be the machine's bad day, so a resumed run tries them again.
        if self._journal is not None and found.outcome.is_answer:
            key = self.key(pending.config, pending.target) + (RECORDED if pending.recorded else "")
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
