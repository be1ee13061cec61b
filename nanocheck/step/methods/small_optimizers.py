"""AdamW with less state on the GPU than two fp32 numbers a parameter, from the libraries people use."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError

Group = dict[str, Any]


def small_adamw(groups: list[Group], config: StepConfig, **options: Any) -> torch.optim.Optimizer:
    """The optimizer that ``config.optimizer`` names, over the groups.

    ``adamw-8bit``: bitsandbytes' ``AdamW8bit``; on the CPU only in its newer releases (0.50 has it).
    ``adamw-8bit-paged``: its ``PagedAdamW8bit``, whose large states are in managed memory, which the driver
    moves to the host when the GPU is full; on the CPU it is the former.
    ``adamw-4bit``: torchao's ``AdamW4bit``; it compiles its step, one graph for each shape.
    ``adamw-offload``: torchao's ``CPUOffloadOptimizer`` around PyTorch's fused AdamW, in pinned host memory;
    a GPU only. It copies gradients to the host during the backward, so clipping them later has no effect.

    Args:
        options: of AdamW: ``lr``, ``betas``, ``eps``; groups may override them.

    Raises:
        RequestError: the library is not installed, or cannot do it on this device.
    """
    name = config.optimizer
    if name in ("adamw-8bit", "adamw-8bit-paged"):
        optimizers = _library("bitsandbytes.optim", "bitsandbytes", config)
        kind = "AdamW8bit" if name == "adamw-8bit" else "PagedAdamW8bit"
        return getattr(optimizers, kind)(groups, **options)  # type: ignore[no-any-return]
    optimizers = _library("torchao.optim", "torchao", config)
    if name == "adamw-4bit":
        return optimizers.AdamW4bit(groups, **options)  # type: ignore[no-any-return]
    if any(each.device.type == "cpu" for group in groups for each in group["params"]):
        raise RequestError(
            "optimizer: adamw-offload moves the state from a GPU to the host, found a model on the CPU",
            hint="run it on a GPU, real or virtual, or choose optimizer adamw-fused",
        )
    # It takes the groups apart: they are the caller's.
    return optimizers.CPUOffloadOptimizer(  # type: ignore[no-any-return]
        [dict(group) for group in groups], torch.optim.AdamW, fused=True, **options
    )


def _library(module: str, package: str, config: StepConfig) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise RequestError(
            f"{config.id}: expected {package} for optimizer {config.optimizer}, found none here ({error})",
            hint=f'pip install {package}   # or: pip install "pytest-nanocheck[methods]"',
        ) from error
