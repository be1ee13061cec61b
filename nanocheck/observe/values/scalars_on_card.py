"""Operators that put a number onto the card as a "wrapped number", which no Python function can be handed.

PyTorch takes a wrapped number for one of the host, so an override further in would end with its internal
error. These few overloads get the number as an ordinary tensor instead: the same bytes, the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from nanocheck.observe.values.real_kernels import Kernel

_DTYPES = {bool: torch.bool, int: torch.int64, float: torch.float64}


def overrides() -> Iterator[tuple[Any, Kernel]]:
    """Each overload, and what stands in its place."""
    aten = torch.ops.aten
    for number, tensor, index, casts in (
        (aten.searchsorted.Scalar, aten.searchsorted.Tensor, 1, True),
        (aten.searchsorted.Scalar_out, aten.searchsorted.Tensor_out, 1, True),
        (aten.bucketize.Scalar, aten.bucketize.Tensor, 0, True),
        (aten.isin.Scalar_Tensor, aten.isin.Tensor_Tensor, 0, False),
        (aten.isin.Scalar_Tensor_out, aten.isin.Tensor_Tensor_out, 0, False),
    ):
        yield number, _as_tensor(tensor, index, casts)


def _as_tensor(overload: Any, index: int, casts: bool) -> Kernel:
    """The overload over tensors, given the number at this index."""

    def run(*args: Any, **kwargs: Any) -> Any:
        number, beside = args[index], args[1 - index]
        made = torch.scalar_tensor(number, dtype=_DTYPES[type(number)], device=beside.device)
        if casts:
            made = made.to(torch.result_type(beside, number))
        given = (*args[:index], made, *args[index + 1 :])
        return overload(*given, **kwargs)

    return run
