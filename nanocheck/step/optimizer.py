"""AdamW with GPT-2's decay groups."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from nanocheck.config import StepConfig

LEARNING_RATE = 6e-4
BETAS = (0.9, 0.95)
WEIGHT_DECAY = 0.1

_SWITCHES = {
    "adamw-fused": {"fused": True},
    "adamw-foreach": {"foreach": True},
    "adamw-loop": {"foreach": False, "fused": False},
}


def build_optimizer(model: nn.Module, config: StepConfig) -> torch.optim.AdamW:
    """AdamW (lr 6e-4, betas 0.9 and 0.95, nanoGPT's defaults) over two groups.

    Tensors of two and more dimensions decay by 0.1, vectors do not decay. Parameters keep the
    model's order inside each group, for the optimizer allocates its state in that order.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": WEIGHT_DECAY},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=BETAS, **_SWITCHES[config.optimizer])


def blank_state(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """``state_dict`` of an AdamW after a step, made without one: tensors of the right shapes, no values."""
    state = optimizer.state_dict()
    parameters = [each for group in optimizer.param_groups for each in group["params"]]
    state["state"] = {
        index: {
            "step": torch.empty(()),
            "exp_avg": torch.empty_like(parameter),
            "exp_avg_sq": torch.empty_like(parameter),
        }
        for index, parameter in enumerate(parameters)
    }
    return state
