"""What the tests of memory-saving methods run in children on the virtual GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.observe import uncompiled_kernels
from nanocheck.observe.workspaces import cublas_workspaces
from nanocheck.step.run import run_step


def held(payload: dict[str, Any], emit: Callable[[str, Any], None]) -> dict[str, int]:
    """Requested bytes of each phase of 2 steps: alive at its end (``phase step``), and at its ``peak``.

    ``workspaces`` is what of it is cuBLAS's.
    """
    config = StepConfig.from_dict(payload)
    if methods.compiles(config):
        uncompiled_kernels.install()
    found: dict[str, int] = {}

    def observe(phase: str, step: int) -> None:
        stats = torch.cuda.memory_stats()
        torch.cuda.reset_peak_memory_stats()
        found[f"{phase} {step}"] = stats["requested_bytes.all.current"]
        found[f"{phase} {step} peak"] = stats["requested_bytes.all.peak"]

    torch.cuda.init()
    run_step(config, "cuda", observe=observe, steps=2)
    return {**found, "workspaces": sum(cublas_workspaces().values())}
