"""Runs configurations on the virtual GPU, two at a time, none twice, and counts them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

import msgspec
from paths import HELPERS, TESTS

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import Peak, RunResult
from nanocheck.measuring.configurations import PRELOAD, PRELOAD_COMPILED, TASK
from nanocheck.measuring.task import Task
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Handle, Pool
from nanocheck.virtual import card_environment, prepare
from properties.configurations import is_long

CARD = Target(kind="virtual", gpu=find_gpu("rtx4070"))
#: Phases of an optimizer step. AdamW's state exists since the end of step 0; 2 is the last that always runs.
STEP = ("forward", "backward", "optimizer")
FIELDS = ("requested_bytes", "allocated_bytes", "reserved_bytes")


def card_with(available_bytes: int) -> Target:
    """The card with this much left for PyTorch's allocator beside the context, and nothing else changed."""
    usable = {"linux": available_bytes + CARD.gpu.context_bytes}
    return replace(CARD, gpu=replace(CARD.gpu, usable_bytes=usable, usable_most_bytes=usable))


class Laboratory:
    """A pool of processes, and what each configuration gave.

    Attributes:
        configurations: ids of those that ran. runs: how often anything ran; other cards and tasks count.
        since: ``time.monotonic`` at the first run.
    """

    def __init__(self, workers: int) -> None:
        launch = {**prepare().launch_environment(), "PYTHONPATH": f"{HELPERS}:{TESTS}"}
        preload = (*PRELOAD, *(PRELOAD_COMPILED if is_long() else ()))
        self._pool = Pool(workers, {**launch, "TORCH_WARM_POOL": "0", "PYTHONHASHSEED": "0"}, preload)
        self._results: dict[str, Any] = {}
        self.configurations: set[str] = set()
        self.runs = 0
        self.since = time.monotonic()

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    def results(
        self,
        configs: Iterable[StepConfig],
        *,
        card: Target = CARD,
        again: int = 0,
        steps: int | None = None,
    ) -> list[RunResult]:
        """One result for each, in order.

        Args:
            again: a number that makes another run of the same.
            steps: so many, whatever is known by then.
        """
        asks = [(config, card) for config in configs]
        return [msgspec.convert(value, RunResult) for value in self._run(TASK, asks, again, steps)]

    def on_cards(self, config: StepConfig, cards: Iterable[Target]) -> list[RunResult]:
        """The same configuration on each card."""
        return [
            msgspec.convert(value, RunResult)
            for value in self._run(TASK, [(config, card) for card in cards], 0)
        ]

    def pairs(self, pairs: Sequence[tuple[StepConfig, StepConfig]]) -> list[tuple[RunResult, RunResult]]:
        """Completed results of both configurations of each pair."""
        results = self.results(config for pair in pairs for config in pair)
        for result in results:
            assert result.outcome == "completed", f"{result.id}: {result.outcome}: {result.detail}"
        return list(zip(results[::2], results[1::2], strict=True))

    def live(self, configs: Iterable[StepConfig]) -> list[dict[str, Any]]:
        """What ``live_tasks.live`` tells of each configuration."""
        return self._run("properties.live_tasks:live", [(config, CARD) for config in configs], 0)

    def _run(
        self, task: str, asks: Sequence[tuple[StepConfig, Target]], again: int, steps: int | None = None
    ) -> list[Any]:
        keys = [f"{task} {config.id} {card.device} {again} {steps}" for config, card in asks]
        handles: dict[str, Handle] = {}
        for key, (config, card) in zip(keys, asks, strict=True):
            if key not in self._results and key not in handles:
                handles[key] = self._submit(key, task, config, card, steps)
        for key, handle in handles.items():
            result = handle.result()
            assert result.outcome == "ok", f"{key}: {result.outcome}: {result.reason}\n{result.output}"
            self._results[key] = result.value
        return [self._results[key] for key in keys]

    def _submit(self, key: str, task: str, config: StepConfig, card: Target, steps: int | None) -> Handle:
        self.configurations.add(config.id)
        self.runs += 1
        environment: dict[str, str | None] = {**card_environment(card)}
        for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
            environment[name] = "expandable_segments:True" if config.allocator == "expandable" else None
        payload = msgspec.to_builtins(Task(config=config, device=card.device, steps=steps))
        return self._pool.submit(Job(id=key, task=task, payload=payload, environment=environment))


def peak_of(result: RunResult, phase: str, step: int = 2) -> Peak:
    """The row of a phase of a step."""
    return next(peak for peak in result.main.peaks if (peak.phase, peak.step) == (phase, step))


def peak_bytes(result: RunResult, field: str) -> int:
    """The largest figure of any phase: ``requested_bytes``, ``allocated_bytes`` or ``reserved_bytes``."""
    return max(getattr(peak, field) for peak in result.main.peaks)


def compare(first: RunResult, second: RunResult, field: str) -> str:
    """Both figures, for whoever reads a failure."""
    low, high = peak_bytes(first, field), peak_bytes(second, field)
    return f"{field}: {first.id} {low:,}, {second.id} {high:,}: {high - low:+,}"
