"""AdamW with GPT-2's decay groups."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import nn

from nanocheck.core.config import StepConfig
from nanocheck.step.methods.empty_checkpoint import blank_entries
from nanocheck.step.methods.in_backward import UpdateInBackward
from nanocheck.step.methods.small_optimizers import small_adamw

LEARNING_RATE = 6e-4
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1

#: What PyTorch's AdamW is told, by implementation.
SWITCHES: dict[str, dict[str, Any]] = {
    "adamw-fused": {"fused": True},
    "adamw-foreach": {"foreach": True},
    "adamw-loop": {"foreach": False, "fused": False},
}


def build_optimizer(model: nn.Module, config: StepConfig) -> torch.optim.Optimizer:
    """AdamW (lr 6e-4, betas 0.9 and 0.95, nanoGPT's defaults) over two groups.

    Tensors of two and more dimensions decay by 0.1, vectors do not decay. Parameters keep the
    model's order inside each group, for the optimizer allocates its state in that order.
    """
    return adamw(decay_groups(model), config, lr=LEARNING_RATE, betas=BETAS)


def decay_groups(model: nn.Module) -> list[dict[str, Any]]:
    """What decays, and what does not."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]


def adamw(groups: list[dict[str, Any]], config: StepConfig, **options: Any) -> torch.optim.Optimizer:
    """The AdamW that ``config.optimizer`` names over these groups, updating when ``config.update`` says.

    Args:
        options: ``lr``, ``betas``, ``eps``; a group's own go before them.

    Raises:
        RequestError: it needs a library that is not installed.
    """
    make = partial(_adamw, config, options)
    return UpdateInBackward(groups, make) if config.update == "backward" else make(groups)


def _adamw(
    config: StepConfig, options: dict[str, Any], groups: list[dict[str, Any]]
) -> torch.optim.Optimizer:
    if config.optimizer in SWITCHES:
        return torch.optim.AdamW(groups, **options, **SWITCHES[config.optimizer])
    return small_adamw(groups, config, **options)


def blank_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """``state_dict`` of an AdamW after a step, made without one: tensors of the right shapes, no values."""
    entry = blank_entries(optimizer)
    state = optimizer.state_dict()
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    state["state"] = {index: entry(parameter) for index, parameter in enumerate(parameters)}
    return state
