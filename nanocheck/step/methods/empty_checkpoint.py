"""Optimizer states as they are after a step, made without one: the right tensors, no values in them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from nanocheck.step.methods.in_backward import UpdateInBackward

#: What a step counter that is not a tensor says; tensors get theirs when the file is written.
STEPS_DONE = 1000

Entry = Callable[[Tensor], dict[str, Any]]


def blank_entries(optimizer: torch.optim.Optimizer) -> Entry:
    """A function that makes the state of one parameter of ``optimizer``, on the parameter's device."""
    if isinstance(optimizer, UpdateInBackward):
        return lambda parameter: blank_entries(optimizer.optimizer_of(parameter))(parameter)
    library = type(optimizer).__module__.partition(".")[0]
    if library == "bitsandbytes":
        maps = {name: torch.empty(256) for name in ("qmap1", "qmap2")}  # shared by all parameters
        return partial(_bitsandbytes, maps, optimizer.args.min_8bit_size)  # type: ignore[attr-defined]
    if library == "torchao":
        return partial(_torchao, optimizer)
    return _adamw


def _adamw(parameter: Tensor) -> dict[str, Any]:
    return {
        "step": torch.empty(()),
        "exp_avg": torch.empty_like(parameter),
        "exp_avg_sq": torch.empty_like(parameter),
    }


def _bitsandbytes(maps: dict[str, Tensor], smallest: int, parameter: Tensor) -> dict[str, Any]:
    """bitsandbytes' ``Optimizer2State.init_state``: fp32 for small tensors, else bytes in blocks of 256."""
    if parameter.numel() < smallest:
        states = {name: torch.empty_like(parameter, dtype=torch.float32) for name in ("state1", "state2")}
        return {"step": STEPS_DONE, **states}
    states = {name: torch.empty_like(parameter, dtype=torch.uint8) for name in ("state1", "state2")}
    blocks = -(-parameter.numel() // 256)
    maxima = {name: torch.empty(blocks) for name in ("absmax1", "absmax2")}
    return {"step": STEPS_DONE, **states, **maps, **maxima}


def _torchao(optimizer: Any, parameter: Tensor) -> dict[str, Any]:
    """torchao's ``_AdamBase.step``, whose own function makes the buffers."""
    buffers = {"exp_avg": True, "exp_avg_sq": False}
    return {
        "step": torch.empty(()),
        **{name: optimizer._new_buffer(parameter.detach(), signed) for name, signed in buffers.items()},
    }
