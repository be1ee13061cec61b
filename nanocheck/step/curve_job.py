"""Measure a loss curve with real arithmetic: a job for the harness, in a process of its own."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from typing import Any

import torch

from nanocheck.config import StepConfig
from nanocheck.step.facts import refuse_on_virtual_gpu
from nanocheck.step.run import run_step
from nanocheck.step.text import gpt2_tokens, python_help
from nanocheck.step.textbook import textbook_curve


def measure_curve(payload: Mapping[str, Any], emit: Callable[[str, Any], None]) -> dict[str, Any]:
    """``losses`` and ``grad_norms`` per step, ``textbook`` the same of the first steps, ``environment``.

    Args:
        payload: config, device (``cpu``, ``cuda``, or ``auto`` for a GPU where there is one), steps,
            textbook_steps.

    Raises:
        RequestError: the device is virtual.
    """
    config, device = StepConfig.from_dict(payload["config"]), str(payload["device"])
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    refuse_on_virtual_gpu(device)
    # One thread: sums are then added in one order, whatever else the machine is doing.
    torch.set_num_threads(1)
    emit("stage", "text")
    corpus = python_help()
    tokens = gpt2_tokens(corpus)
    emit("stage", "curve")
    outcome = run_step(
        config,
        device,
        observe=lambda phase, step: None,
        steps=payload["steps"],
        micro_batches=config.accumulation,
        tokens=tokens,
        read_losses=True,
    )
    emit("stage", "textbook")
    losses, norms = textbook_curve(config, device, tokens, payload["textbook_steps"])
    return {
        "losses": list(outcome.losses),
        "grad_norms": list(outcome.grad_norms),
        "textbook": {"losses": losses, "grad_norms": norms},
        "environment": environment(device, corpus.sha256),
    }


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
