"""Stands where nanochat loads FlashAttention 3 from the Hub: its operators and their memory, no kernels.

What hopper/flash_api.cpp allocates: forward the output, one float32 a row and an integer for its scheduler;
backward a float32 copy of dq, two float32 a row (rounded up to 128 rows) and semaphores. They are operators,
so that Dynamo does not look inside.
"""

from types import SimpleNamespace
from typing import Any

import torch

ROWS = 128  # that one thread block takes of the queries
Tensors = tuple[torch.Tensor, torch.Tensor]


def _per_row(q: torch.Tensor, rows: int) -> torch.Tensor:
    return torch.empty((q.shape[0], q.shape[2], rows), dtype=torch.float32, device=q.device)


def _rounded(q: torch.Tensor) -> int:
    return (q.shape[1] + ROWS - 1) // ROWS * ROWS


@torch.library.custom_op("nanocheck_fa3::forward", mutates_args=())
def forward(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Tensors:
    torch.empty(1, dtype=torch.int32, device=q.device)
    return torch.empty_like(q), _per_row(q, q.shape[1])


@forward.register_fake
def _(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> Tensors:
    return torch.empty_like(q), _per_row(q, q.shape[1])


@torch.library.custom_op("nanocheck_fa3::backward", mutates_args=("dq", "dk", "dv"))
def backward(
    grad: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    out: torch.Tensor,
    rows: torch.Tensor,
    dq: torch.Tensor,
    dk: torch.Tensor,
    dv: torch.Tensor,
) -> torch.Tensor:
    sums, logarithms = _per_row(q, _rounded(q)), _per_row(q, _rounded(q))
    accumulated = _per_row(q, _rounded(q) * q.shape[3])
    semaphores = torch.zeros(
        (_rounded(q) // ROWS, q.shape[0], q.shape[2]), dtype=torch.int32, device=q.device
    )
    del logarithms, accumulated, semaphores  # all of them were there at once
    return sums


@backward.register_fake
def _(grad: torch.Tensor, q: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
    return _per_row(q, _rounded(q))


def _keep(ctx: Any, inputs: tuple[torch.Tensor, ...], output: Tensors) -> None:
    ctx.save_for_backward(*inputs, *output)


def _gradients(ctx: Any, grad: torch.Tensor, _rows: torch.Tensor) -> tuple[torch.Tensor, ...]:
    saved = ctx.saved_tensors
    made = tuple(torch.empty_like(each) for each in saved[:3])
    torch.ops.nanocheck_fa3.backward(grad, *saved, *made)
    return made


forward.register_autograd(_gradients, setup_context=_keep)


def flash_attn_func(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    causal: bool = False,
    window_size: tuple[int, int] = (-1, -1),
) -> torch.Tensor:
    """As ``flash_attn_interface.flash_attn_func``: (batch, length, heads, width) each."""
    out: torch.Tensor = torch.ops.nanocheck_fa3.forward(q, k, v)[0]
    return out


def get_kernel(name: str) -> SimpleNamespace:
    return SimpleNamespace(flash_attn_interface=SimpleNamespace(flash_attn_func=flash_attn_func))
