"""How many elements of an unknown tensor count on average, where indices of n experts or classes were picked.

``topk``, ``argmax``, ``sort`` or ``multinomial`` over a dimension of n say where their indices lie: in 0 to
n - 1. If all are as frequent, ``indices == 3`` is true for one in n, and so is each of n rows of a
``one_hot``. This is kept at the storage of the tensor, so that its views have it too, and goes with it. It
is an estimate, and only ``--sizes balanced`` asks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from nanocheck.observe.values import known_operators
from nanocheck.observe.values.real_kernels import Kernel

#: Operators whose integer results are indices into a dimension of their first argument.
PICKS = ("topk", "argmax", "argmin", "sort", "multinomial")

#: Copies and selections of what they are given: the share of elements that count stays.
_KEEP = (
    "copy_",
    "index",
    "index_select",
    "gather",
    "cat",
    "masked_fill",
    "eq",
    "ne",
    "gt",
    "ge",
    "bitwise_and",
)
_SCATTERED = ("scatter_", "scatter")


def pick(operator: Any, kernel: Kernel) -> Kernel:
    """The operator, with a note at its indices of what they are indices into."""

    def run(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        result = kernel(tensor, *args, **kwargs)
        names = [each.name for each in operator._schema.arguments]
        given = {**dict(zip(names[1:], args)), **kwargs}
        dim = given.get("dim", -1)
        among = tensor.numel() if dim is None else tensor.shape[dim] if tensor.dim() else 1
        for each in known_operators.tensors_of([result]):
            if each.dtype == torch.int64:
                _note(each, indices_into=among)
        return result

    return run


def follow(name: str, args: Sequence[Any], result: Any) -> None:
    """Keep the note where a result nobody knows was made of tensors that have one."""
    inputs = list(known_operators.tensors_of(args))
    made = list(known_operators.tensors_of([result]))
    if not inputs or len(made) != 1:
        return
    among = next((found for each in inputs if (found := _noted(each, "indices_into"))), None)
    share = next((found for each in inputs if (found := _noted(each, "share"))), None)
    if name in _SCATTERED and among:  # one_hot
        _note(made[0], share=1 / among)
    elif name in ("eq", "ne") and among:
        _note(made[0], share=1 / among if name == "eq" else 1 - 1 / among)
    elif name in _KEEP and share:
        _note(made[0], share=share)
    elif name in _KEEP and among:
        _note(made[0], indices_into=among)


def average(tensor: torch.Tensor) -> int | None:
    """How many of its elements count; ``None``: nothing is known of that."""
    share = _noted(tensor, "share")
    return None if share is None else math.ceil(tensor.numel() * share)


def _note(tensor: torch.Tensor, **what: float) -> None:
    tensor.untyped_storage().nanocheck = what  # type: ignore[attr-defined]


def _noted(tensor: torch.Tensor, what: str) -> Any:
    if not tensor.is_cuda or tensor.dtype not in known_operators.WHOLE:
        return None
    return getattr(tensor.untyped_storage(), "nanocheck", {}).get(what)
