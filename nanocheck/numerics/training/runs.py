"""Traces by plan: every plan is trained once, in a process of its own, several at a time. No torch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from nanocheck.core.errors import NanocheckError
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import Trace
from nanocheck.numerics.training.text import tokens_of
from nanocheck.process.jobs import Deadlines, Job
from nanocheck.process.pool import Handle, Observer, Pool
from nanocheck.process.scratch import Scratch

TASK = "nanocheck.numerics.training.job:train"
_ON_GPU = "nanocheck.numerics.training.job:on_gpu"
_ENVIRONMENT = {
    # glibc would return every tensor of logits to the system and zero its pages anew; a fifth of the time.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    # A job is one process; Inductor's own would only wait beside it.
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
}
_PRELOAD = ("torch", "torch._dynamo", "nanocheck.numerics.training.job")
_PRELOAD_COMPILED = ("torch._inductor.compile_fx",)


class RunFailedError(NanocheckError):
    """A run that gave no trace: it raised, died or hung."""


def _answer(handle: Handle) -> Any:
    result = handle.result()
    if result.outcome != "ok":
        why = result.reason if result.error is None else result.error.message
        raise RunFailedError(f"{handle.job.id} {result.outcome}: {why}\n{result.output}")
    return result.value


class Runs:
    """Trains plans and remembers their traces.

    Args:
        device: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
        workers: processes at once.
        compiled: whether there are compiled steps among the plans, for which more is imported beforehand.
        progress: called as ``progress(done, total, [(plan, stage), ...])``.
    """

    def __init__(
        self,
        device: str = "auto",
        workers: int = 2,
        *,
        compiled: bool = True,
        progress: Observer | None = None,
    ) -> None:
        self._device = device
        preload = [*_PRELOAD, *(_PRELOAD_COMPILED if compiled else ())]
        self._pool = Pool(workers, _ENVIRONMENT, preload, Deadlines(default=600.0), progress)
        self._folder = Scratch("learning")
        self._handles: dict[str, Handle] = {}
        self._texts: dict[tuple[str, int, int], tuple[list[int], str]] = {}

    def __enter__(self) -> Runs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.__exit__(kind, error, trace)
        self._folder.remove()

    def start(self, plans: Iterable[Plan]) -> None:
        """Begin with these, in this order; one that resumes another begins when it is asked for."""
        for plan in plans:
            if plan.resumes is None:
                self._submit(plan)

    def trace(self, plan: Plan) -> Trace:
        """The plan's trace; waits for it.

        Raises:
            RunFailedError: it raised, died or hung, with what it printed.
        """
        if plan.resumes is not None:
            self.trace(plan.resumes)  # its checkpoint must be there
        return Trace.from_dict(_answer(self._submit(plan)))

    def ask(self, task: str, payload: Mapping[str, Any]) -> Any:
        """What another job answers; ``folder`` is added to its payload.

        Raises:
            RunFailedError: see ``trace``.
        """
        folder = tempfile.mkdtemp(dir=self._folder.path)
        return _answer(self._pool.submit(Job(id=task, task=task, payload={**payload, "folder": folder})))

    @cached_property
    def on_gpu(self) -> bool:
        """Whether these runs are on a GPU.

        Raises:
            RunFailedError: see ``trace``.
        """
        return self._device == "cuda" or (self._device == "auto" and bool(self.ask(_ON_GPU, {})))

    def checkpoint(self, plan: Plan) -> Path:
        """The file that a plan with ``save_after`` leaves behind."""
        return self._folder.path / plan.key / "checkpoint.pt"

    def _submit(self, plan: Plan) -> Handle:
        if plan.key not in self._handles:
            folder = self.checkpoint(plan).parent
            folder.mkdir(exist_ok=True)
            payload = {**plan.to_dict(), "device": self._device, "folder": str(folder)}
            payload["tokens"], payload["text_sha256"] = self._tokens(plan)
            payload["checkpoint"] = None if plan.resumes is None else str(self.checkpoint(plan.resumes))
            self._handles[plan.key] = self._pool.submit(Job(id=plan.key, task=TASK, payload=payload))
        return self._handles[plan.key]

    def _tokens(self, plan: Plan) -> tuple[list[int], str]:
        """Encoded here, once: tiktoken takes longer than a run."""
        key = (plan.text, plan.config.vocab_size, plan.config.block_size)
        if key not in self._texts:
            tokens, sha256 = tokens_of(plan.text, plan.config)
            self._texts[key] = (list(map(int, tokens)), sha256)
        return self._texts[key]
