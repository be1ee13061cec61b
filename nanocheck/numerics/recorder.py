"""What ``nanocheck record`` trains, and the training. No torch: every run has a process of its own."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import metadata
from typing import Protocol

from nanocheck import __version__
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import MachineError, NanocheckError, RequestError
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.recording import Recorded, Recording
from nanocheck.numerics.tiers import apart
from nanocheck.numerics.trace import Trace
from nanocheck.process.pool import Observer
from nanocheck.step.text import GPT2_VOCAB
from nanocheck.virtual.installed_torch import find_torch

STEPS = 8
#: A step takes milliseconds on one core; widths are the least that nanochat's gates read.
_SMALL = {"n_layer": 2, "n_head": 2, "n_embd": 32, "block_size": 32, "vocab_size": 256, "batch": 4}


class Trains(Protocol):
    """What is asked of ``Runs``."""

    def start(self, plans: Sequence[Plan]) -> None: ...

    def trace(self, plan: Plan) -> Trace: ...


def default_configs(*, compiled: bool = False) -> Iterator[StepConfig]:
    """Small models, every number format, and what is most often changed in a training.

    Args:
        compiled: also with ``torch.compile``, which takes a minute for each.
    """
    small = StepConfig.from_dict({**_SMALL, "dtype": "fp32"})
    for dtype in ("fp32", "bf16", "fp16"):
        yield replace(small, dtype=dtype)
        yield replace(small, dtype=dtype, accumulation=2)
    for optimizer in ("adamw-foreach", "adamw-loop"):
        yield replace(small, optimizer=optimizer)
    yield replace(small, dtype="bf16", checkpointing="block")
    for model in ("nanochat-2025", "nanochat-2026"):
        yield StepConfig.from_dict({**_SMALL, "n_head": 1, "model": model, "dtype": "bf16"})
    if compiled:
        for dtype in ("fp32", "bf16", "fp16"):
            yield replace(small, dtype=dtype, compile="default")


def plan_of(config: StepConfig, *, steps: int = STEPS, threads: int = 1) -> Plan:
    """How a configuration is recorded: on real text, its parameters after every step."""
    text = "gpt2" if config.vocab_size >= GPT2_VOCAB else "bytes" if config.vocab_size >= 256 else "compact"
    return Plan(config=config, steps=steps, text=text, threads=threads, every_step=True)


def reference_of(plan: Plan) -> tuple[str, Plan] | None:
    """What to hold a plan against, finer than itself: its name and its plan.

    The formulas know GPT-2 with clipping and full training only; beside them, 16 bits are held against the
    same step in fp32. A step in fp32 that is no such GPT-2 has nothing.
    """
    config = plan.config
    whole = config.weights != "nf4-lora" and config.update == "step" and config.cycle != "resume"
    if config.model == "gpt2" and whole:
        kept = (
            "n_layer",
            "n_head",
            "n_embd",
            "block_size",
            "vocab_size",
            "bias",
            "batch",
            "accumulation",
            "seed",
        )
        plain = StepConfig.from_dict({name: getattr(config, name) for name in kept} | {"dtype": "fp32"})
        return "fp64", Plan(config=plain, steps=plan.steps, text=plan.text, threads=plan.threads, oracle=True)
    if config.dtype not in ("bf16", "fp16"):
        return None
    try:
        return "fp32", replace(plan, config=replace(config, dtype="fp32"), every_step=False)
    except RequestError:  # the format is part of a method
        return None


def record(plans: Sequence[Plan], runs: Trains, progress: Observer) -> Recording:
    """Train all plans and what they are held against.

    Raises:
        NanocheckError: not one of them could be trained.
    """
    references = [reference_of(plan) for plan in plans]
    runs.start([*plans, *(each[1] for each in references if each is not None)])
    found = []
    for index, (plan, reference) in enumerate(zip(plans, references, strict=True)):
        progress(index, len(plans), [(plan.config.id, "train")])
        found.append(_recorded(plan, reference, runs))
    traces = [run.trace for run in found if run.trace is not None]
    if not traces:
        raise NanocheckError(
            f"expected at least one training to record, found none that ran: {found[0].failed}"
        )
    return Recording(
        date=datetime.date.today().isoformat(),
        environment=_environment(traces[0], plans[0].threads),
        runs=tuple(found),
    )


def _recorded(plan: Plan, reference: tuple[str, Plan] | None, runs: Trains) -> Recorded:
    name, data = plan.config.id, plan.to_dict()
    try:
        trace = runs.trace(plan)
    except NanocheckError as error:
        why = error.problem.splitlines()[0].removeprefix(plan.key).removeprefix(name).strip()
        return Recorded(name=name, plan=data, failed=why.removeprefix("error: ").removeprefix(f"{name}: "))
    if reference is None or any(step.skipped for step in trace.steps):
        # Nothing finer skips what a loss scaler skips: the distance to it would be no rounding error.
        return Recorded(name=name, plan=data, trace=trace)
    try:
        error_of = apart(trace, runs.trace(reference[1]))
    except NanocheckError:
        return Recorded(name=name, plan=data, trace=trace)
    return Recorded(name=name, plan=data, trace=trace, reference=reference[0], error=error_of)


def _environment(trace: Trace, threads: int) -> dict[str, str]:
    return {
        "nanocheck": __version__,
        "torch": _torch_version(),
        "python": platform.python_version(),
        "device": trace.environment["device"],
        "matrix_unit": trace.environment["matrix_unit"],
        "threads": str(threads),
    }


def _torch_version() -> str:
    """With the build, such as ``2.14.1+cu130``, where its own file tells."""
    try:
        return find_torch().version
    except MachineError:  # a build without CUDA records as well
        return metadata.version("torch")
