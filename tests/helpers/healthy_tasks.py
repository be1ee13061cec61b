"""What test_healthy_answers.py runs on the virtual GPU: programs that make numbers of health checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nanocheck.observe import placeholder_values

Emit = Callable[[str, Any], None]
Flags = torch.Tensor

CHECKS = ("isnan", "isinf", "isfinite")
SHAPES = ((1,), (3, 7), (200, 100))
DTYPES = ("float32", "bfloat16", "float16", "float64")
#: All of them make a small tensor of a large one.
REDUCTIONS: dict[str, Callable[[Flags], Flags]] = {
    "any": lambda flags: flags.any(),
    "all": lambda flags: flags.all(),
    "sum": lambda flags: flags.sum(),
    "max": lambda flags: flags.max(),
    "sum of rows": lambda flags: flags.sum(-1),
}


def _counted(flags: Flags) -> Flags:
    count = torch.zeros([1], device=flags.device)
    count += flags.sum()
    return count


def _tracked(flags: Flags) -> Flags:
    tracker = torch.tensor(False, device=flags.device)
    return tracker.logical_or_(flags.any())


STEPS: dict[str, Callable[[Flags], Flags]] = {
    "not": lambda flags: flags.logical_not(),
    "bool": lambda flags: flags.bool(),
    "byte": lambda flags: flags.byte(),
    "float": lambda flags: flags.float(),
    "long": lambda flags: flags.to(torch.int64),
    "positive": lambda flags: flags > 0,
    "more": lambda flags: flags + 1,
    "clone": lambda flags: flags.clone(),
    "twice": lambda flags: torch.stack([flags, flags.clone()]).sum(0),
    "first": lambda flags: flags.flatten()[0],
    "counted": _counted,
    "tracked": _tracked,
    "python": lambda flags: sum(flags.flatten()[:2]),  # type: ignore[arg-type, return-value]
}


def programs(several: list[dict[str, Any]], emit: Emit) -> list[Any]:
    """Those that say something else than the host of finite numbers; steps that it refuses are left out."""
    placeholder_values.install()
    wrong = []
    for each in several:
        dtype, shape = getattr(torch, each["dtype"]), tuple(each["shape"])
        check = getattr(torch, each["check"])
        there = check(torch.randn(shape, device="cuda", dtype=dtype))
        here = check(torch.ones(shape, dtype=dtype))
        for name in (each["reduction"], *each["steps"]):
            step = {**REDUCTIONS, **STEPS}[name]
            try:
                here = step(here)
            except RuntimeError:
                continue
            there = step(there)
        if there.tolist() != here.tolist() or there.dtype != here.dtype:
            wrong.append([each, there.tolist(), here.tolist()])
    return wrong


def others(payload: Any, emit: Emit) -> dict[str, Any]:
    """What does not follow from finite numbers."""
    placeholder_values.install()
    unknown = torch.randn(100, device="cuda")
    mask = torch.tensor([True, False] * 50, device="cuda")
    infinite = torch.tensor([1.0, float("inf")], device="cuda")
    return {
        "count of a comparison": (unknown > 3).sum().item(),
        "beside what was written": (torch.isfinite(unknown) & mask).sum().item(),
        "of what was written": [bool((infinite == float("inf")).any()), torch.isnan(infinite).sum().item()],
        "made up": placeholder_values.placeholders() > 0,
    }
