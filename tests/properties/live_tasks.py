"""Run in a child: what is alive at the end of each phase, which a result's peaks do not tell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from nanocheck.core.config import StepConfig
from nanocheck.observe import placeholder_values
from nanocheck.observe.workspaces import cublas_workspaces
from nanocheck.step.run import run_step


def live(payload: dict[str, Any], emit: Callable[[str, Any], None]) -> dict[str, Any]:
    """``rows`` of (phase, step, requested, allocated) bytes alive; ``workspaces``, the bytes of cuBLAS's."""
    config = StepConfig.from_dict(payload["config"])
    torch.cuda.init()
    placeholder_values.install()
    rows: list[tuple[str, int, int, int]] = []

    def observe(phase: str, step: int) -> None:
        stats = torch.cuda.memory_stats()
        alive = (stats[f"{kind}_bytes.all.current"] for kind in ("requested", "allocated"))
        rows.append((phase, step, *alive))

    run_step(config, "cuda", observe=observe, steps=2, workdir=Path.cwd())
    return {"rows": rows, "workspaces": sorted(cublas_workspaces().values())}
