"""A card to run cases on, one after the other: the real one, the virtual one, or the virtual one as if it
were real. Each case has a process of its own.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import msgspec

from nanocheck.core.anonymous import anonymous
from nanocheck.core.device import Target
from nanocheck.core.device_selection import CardQuestion
from nanocheck.core.errors import MachineError
from nanocheck.core.gpus import CardSource
from nanocheck.core.result import Environment, Outcome, Provenance
from nanocheck.core.steadiness import why_refused
from nanocheck.core.units import MIB
from nanocheck.measuring.background_run import BackgroundRun, Variation
from nanocheck.measuring.command_environment import DEFAULT_STEPS
from nanocheck.measuring.configurations import (
    ALLOCATOR_VARIABLES,
    PRELOAD,
    PRELOAD_COMPILED,
    job_environment,
    launch_environment,
    with_kernels,
)
from nanocheck.measuring.job_result import to_result
from nanocheck.measuring.request import Request
from nanocheck.measuring.task import Task
from nanocheck.process.jobs import Deadlines, Job, JobResult
from nanocheck.process.pool import Pool
from nanocheck.process.scratch import Scratch
from nanocheck.timing.of_run import step_time
from nanocheck.verify.cases import SCRIPTS, Case
from nanocheck.verify.observed import Memory, Observed, read_memory
from nanocheck.verify.record import CardFacts
from nanocheck.verify.step_time import LIMIT_S, Modelled, StepTime

_TICK = 0.05  # seconds between two looks
#: For a case on one side. The slowest takes half a minute on two cores.
CASE_LIMIT_S = 120.0
#: For the first process, which waits until the server has imported PyTorch, perhaps from a cold disk.
_FIRST_LIMIT_S = 240.0
_WORKER = "nanocheck.verify.card_worker"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a card says of itself; see ``VerifyFile`` for the fields.

    ``figures`` are named as in the catalog's files, without what only a data sheet says.
    """

    card: CardFacts
    environment: Environment
    driver: str | None
    others_bytes: int | None
    figures: Mapping[str, Any]


class Side:
    """One card.

    Args:
        target: the card. A real one is given to one process at a time, and so is a virtual one.
        gpus: files with further cards.
        stand_in: the virtual card plays the real one: all goes the measured road, with the virtual GPU
            preloaded.

    Attributes:
        others_bytes: what others hold of the card; set after ``describe``.
    """

    def __init__(self, target: Target, gpus: tuple[CardSource, ...] = (), *, stand_in: bool = False) -> None:
        self.target = target
        self.others_bytes = 0
        self._uuid = ""
        self._gpus, self._stand_in = gpus, stand_in
        self._is_virtual = stand_in or target.kind == "virtual"
        self._pool: Pool | None = None
        self._scratch = Scratch("verify")

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_pool()
        self._scratch.remove()

    def describe(self) -> Machine:
        """
        Raises:
            MachineError: no process can use the card, or what one finds there is not what it is called.
        """
        said = self._ask("describe", None)
        expected = "the virtual GPU" if self._is_virtual else "a real card"
        if (said["environment"]["virtual_gpu"] is not None) != self._is_virtual:
            found = "a real card" if self._is_virtual else "the virtual GPU"
            raise MachineError(
                f"expected {expected} in a process of its own, found {found}",
                hint="unset LD_PRELOAD and NANOCHECK_CARD",
            )
        self._uuid = said["uuid"]
        driver = self._ask("ask_driver", self._uuid)
        if self._is_virtual:
            # It has no driver, and nobody else is on it; what its NVML shows is the context to come.
            driver |= {"driver": None, "used_bytes": 0}
        self.others_bytes = driver["used_bytes"] or 0
        return Machine(
            card=msgspec.convert(said["card"], CardFacts),
            environment=msgspec.convert(said["environment"], Environment),
            driver=driver["driver"],
            others_bytes=driver["used_bytes"],
            figures={
                **said["figures"],
                "nominal_mib": (driver["total_bytes"] or said["card"]["usable_bytes"]) / MIB,
                "tgp_w": driver["power_w"],
            },
        )

    def run(self, case: Case, limit_s: float = CASE_LIMIT_S) -> Observed:
        """What the card did; a failure is an answer of its own kind."""
        began = time.monotonic()
        try:
            if case.config is not None:
                return self._configuration(case, min(limit_s, CASE_LIMIT_S))
            return self._script(case, min(limit_s, CASE_LIMIT_S))
        except MachineError as error:
            seconds = round(time.monotonic() - began, 1)
            return Observed(
                provenance=Provenance.UNKNOWN,
                outcome=Outcome.CRASHED,
                seconds=seconds,
                detail=anonymous(error.problem),
            )

    def time(self, case: Case, limit_s: float) -> StepTime:
        """How long a step of a configuration takes, after ``run``; why it is not known, where it is not."""
        assert case.config is not None
        payload = {
            "task": msgspec.to_builtins(Task(config=case.config, device=self.target.device)),
            "limit_s": min(LIMIT_S, limit_s / 2),  # the rest is for the model and for what compiles
            "uuid": self._uuid,
        }
        job = self._job("time_steps", payload, job_environment(case.config, self.target))
        ended = self._run(job, min(limit_s, CASE_LIMIT_S))
        if ended.outcome != "ok":
            return StepTime(
                provenance=Provenance.UNKNOWN, refused=anonymous(ended.reason) or "no answer without a word"
            )
        found = msgspec.convert(ended.value, StepTime)
        if found.seconds is None:
            return found if found.refused else msgspec.structs.replace(found, refused="no step was timed")
        why = why_refused(found.seconds, settled=found.settled, load=found.load)
        return msgspec.structs.replace(found, refused=why)

    def model(self, case: Case, limit_s: float) -> Modelled | None:
        """What the model of time says of a configuration's step, from a run that records it; None where
        nothing was recorded. Only a virtual card records."""
        assert case.config is not None
        folder = self._scratch.path / "step"
        folder.mkdir(exist_ok=True)
        device = self.target.device
        task = Task(config=case.config, device=device, trace=str(folder))
        job = self._job("run", msgspec.to_builtins(task), job_environment(case.config, self.target))
        ended = self._run(job, min(limit_s, CASE_LIMIT_S))
        if ended.outcome == "ok":
            ended = replace(ended, value=ended.value["result"])
        found = step_time(with_kernels(to_result(case.config, device, ended), folder), self.target.gpu)
        shutil.rmtree(folder, ignore_errors=True)
        return None if found is None else Modelled.of(found)

    def _configuration(self, case: Case, limit_s: float) -> Observed:
        assert case.config is not None
        began = time.monotonic()
        device = self.target.device
        job = self._job(
            "run",
            msgspec.to_builtins(Task(config=case.config, device=device)),
            job_environment(case.config, self.target),
        )
        ended = self._run(job, limit_s)
        memory = None
        if ended.outcome == "ok":
            memory = msgspec.convert(ended.value["memory"], Memory)
            ended = replace(ended, value=ended.value["result"])
        return Observed.of(
            to_result(case.config, device, ended),
            memory,
            others_bytes=self.others_bytes,
            seconds=time.monotonic() - began,
        )

    def _script(self, case: Case, limit_s: float) -> Observed:
        began = time.monotonic()
        words = self._scratch.path / "words.json"
        words.unlink(missing_ok=True)
        request = Request(
            command=[sys.executable, str(SCRIPTS / case.script), str(words)],
            card=CardQuestion(
                gpu=self.target.gpu.id,
                gpus=self._gpus,
                device=self.target.kind,
                platform=self.target.platform,
            ),
            steps=0 if case.full else DEFAULT_STEPS,
            time_limit_s=limit_s,
        )
        settings = "expandable_segments:True" if case.allocator == "expandable" else ""
        environment = {**dict.fromkeys(ALLOCATOR_VARIABLES, settings), **self._environment()}
        run = BackgroundRun(request, Variation(name=case.id, environment=environment))
        # Its own limit ends the script with what was seen; this one is for what does not obey.
        latest = began + limit_s + 15
        try:
            while (judged := run.poll()) is None:
                if time.monotonic() > latest:
                    raise MachineError(f"no answer after {limit_s:.0f} s")
                time.sleep(_TICK)
        finally:
            run.stop()
        return Observed.of(
            judged.result,
            read_memory(words),
            others_bytes=self.others_bytes,
            seconds=time.monotonic() - began,
        )

    def _environment(self) -> dict[str, str]:
        """Beside our own: a cold cache for the real card's compiler, and its stand-in."""
        if self.target.kind == "virtual":
            return {}
        cold = {
            "PYTHONHASHSEED": "0",  # as on the virtual card: the order of sets can move a peak
            "TORCHINDUCTOR_CACHE_DIR": str(self._scratch.path / "inductor"),
            "TRITON_CACHE_DIR": str(self._scratch.path / "triton"),
        }
        return {**cold, **(self._preloaded() if self._stand_in else {})}

    def _preloaded(self) -> dict[str, str]:
        from nanocheck.virtual import card_environment, prepare

        virtual = replace(self.target, kind="virtual")
        return {
            **prepare().launch_environment(),
            **card_environment(virtual),
            "CUDA_VISIBLE_DEVICES": "0",
        }

    def _job(self, task: str, payload: Any, environment: Mapping[str, str | None]) -> Job:
        ours = {**environment, **self._environment()}
        for name in ("LD_PRELOAD", "PYTHONHASHSEED"):  # of the server: a running process cannot change them
            ours.pop(name, None)
        return Job(id=task, task=f"{_WORKER}:{task}", payload=payload, environment=ours)

    def _ask(self, task: str, payload: Any) -> Any:
        environment: Mapping[str, str | None] = {}
        if self.target.kind == "virtual":
            from nanocheck.virtual import card_environment

            environment = dict(card_environment(self.target))
        ended = self._run(self._job(task, payload, environment), _FIRST_LIMIT_S)
        if ended.outcome != "ok":
            raise MachineError(
                f"expected a process that uses {self.target.gpu.name}, found: {ended.reason}"
                + (f"\n{ended.output.rstrip()}" if ended.output else ""),
                hint="nanocheck doctor",
            )
        return ended.value

    def _run(self, job: Job, limit_s: float) -> JobResult:
        """Until it ends, or the limit has passed: then its server goes, too; the next job gets another."""
        latest = time.monotonic() + limit_s
        if self._pool is None:
            launch = launch_environment(self.target)
            if self._stand_in:
                launch |= self._preloaded()
            deadlines = Deadlines(default=CASE_LIMIT_S)
            self._pool = Pool(1, launch, (*PRELOAD, *PRELOAD_COMPILED, _WORKER), deadlines)
        handle = self._pool.submit(job)
        while not handle.done:
            if time.monotonic() > latest:
                self._close_pool()
                return JobResult(id=job.id, outcome="timeout", reason=f"no answer after {limit_s:.0f} s")
            self._pool.poll()
            time.sleep(_TICK)
        return handle.result()

    def _close_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()
