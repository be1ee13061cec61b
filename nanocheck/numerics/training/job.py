"""Train one plan with real arithmetic: a job for the harness, in a process of its own."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from nanocheck.core.config import StepConfig
from nanocheck.numerics.trace import Step, Trace
from nanocheck.numerics.training.held_out import evaluate_held_out
from nanocheck.numerics.training.step_figures import Figures, fingerprint
from nanocheck.step.reference_fp64 import textbook_run
from nanocheck.step.run import run_step
from nanocheck.step.torch_facts import refuse_on_virtual_gpu, sdpa_backend

_BACKENDS = {"math": SDPBackend.MATH, "flash": SDPBackend.FLASH_ATTENTION}


def train(payload: Mapping[str, Any], emit: Callable[[str, Any], None]) -> dict[str, Any]:
    """The plan's ``Trace`` as plain data.

    Args:
        payload: of ``Plan.to_dict``, and device (``cpu``, ``cuda``, or ``auto`` for a GPU where there is
            one), folder (for the checkpoint), checkpoint (the file to resume from, or None), tokens and
            text_sha256 (of ``tokens_of``).

    Raises:
        RequestError: the device is virtual.
    """
    config, device = StepConfig.from_dict(payload["config"]), str(payload["device"])
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    refuse_on_virtual_gpu(device)
    # Sums are added in one order, whatever else the machine is doing.
    torch.set_num_threads(payload["threads"])
    tokens, sha256 = payload["tokens"], payload["text_sha256"]
    emit("stage", "train")
    make = _oracle if payload["oracle"] else _step
    for _ in range(payload["repeat"]):
        trace = make(config, device, tokens, payload, environment(device, sha256))
    return trace.to_dict()


def _step(
    config: StepConfig,
    device: str,
    tokens: Sequence[int],
    payload: Mapping[str, Any],
    where: Mapping[str, str],
) -> Trace:
    poison = payload["poison"]
    figures = Figures(every_step=payload["every_step"], poison=poison and (poison[0], poison[1]))
    if payload["checkpoint"] is not None:
        config = StepConfig.from_dict({**config.to_dict(), "cycle": "resume"})
    with _attention(payload["attention"]), _without_graphs(config, device):
        choice = sdpa_backend(config, device)
        outcome = run_step(
            config,
            device,
            observe=lambda phase, step: None,
            steps=payload["steps"],
            micro_batches=payload["micro_batches"],
            tokens=tokens,
            workdir=Path(payload["folder"]),
            checkpoint=None if payload["checkpoint"] is None else Path(payload["checkpoint"]),
            read_losses=True,
            watch=figures,
            save_after=payload["save_after"],
            scaler=payload["scaler"],
        )
        held_out = evaluate_held_out(figures, payload["text"], payload["held_out"])
    parameters, optimizer = figures.end()
    return Trace(
        config=config.to_dict(),
        steps=tuple(figures.steps(outcome.losses, outcome.grad_norms)),
        parameters=parameters,
        optimizer_sha256=optimizer,
        evaluation={**figures.evaluation, **held_out},
        environment=where,
        facts={**figures.facts, "attention_choice": choice},
    )


def on_gpu(payload: Mapping[str, Any], emit: Callable[[str, Any], None]) -> bool:
    """Whether ``auto`` means a GPU here: another job, which needs nothing and trains nothing."""
    return torch.cuda.is_available()


def _oracle(
    config: StepConfig,
    device: str,
    tokens: Sequence[int],
    payload: Mapping[str, Any],
    where: Mapping[str, str],
) -> Trace:
    losses, norms, weights = textbook_run(config, device, tokens, payload["steps"], torch.float64)
    return Trace(
        config=config.to_dict(),
        steps=tuple(Step(loss=a, grad_norm=b) for a, b in zip(losses, norms, strict=True)),
        parameters={payload["steps"] - 1: {name: fingerprint(each) for name, each in weights.items()}},
        optimizer_sha256="",
        evaluation={},
        environment=where,
    )


@contextmanager
def _attention(name: str) -> Iterator[None]:
    if not name:
        yield
        return
    with sdpa_kernel([_BACKENDS[name]]):
        yield


@contextmanager
def _without_graphs(config: StepConfig, device: str) -> Iterator[None]:
    """torchao compiles its own update, a graph for each shape: minutes of g++ for the same arithmetic."""
    if config.optimizer != "adamw-4bit" or torch.device(device).type != "cpu":
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def environment(device: str, text_sha256: str) -> dict[str, str]:
    """Whatever can move a loss beyond its tolerance, and the Python version for people."""
    real = torch.device(device).type == "cuda"
    return {
        "torch": ".".join(torch.__version__.split(".")[:2]),
        "device": torch.cuda.get_device_name() if real else f"cpu {torch.backends.cpu.get_cpu_capability()}",
        "matrix_unit": "" if real else _matrix_unit(),
        "text_sha256": text_sha256,
        "python": platform.python_version(),
    }


def _matrix_unit() -> str:
    """What oneDNN multiplies bf16 with, which decides how products are rounded."""
    for name in ("amx_tile", "avx512_bf16"):
        supported = getattr(torch.cpu, f"_is_{name}_supported", None)
        if supported is not None and supported():
            return name
    return "none"
