"""The calls of the workloads, by ``Workload.make``: a function makes the tensors and returns what is called.

Values are random: products of zeros draw less power, and are faster. Imports torch only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from nanocheck.calibrate.workloads import (
    OPTIMIZER_ELEMENTS,
    OPTIMIZER_TENSORS,
    STREAM_BYTES,
    VOCABULARY,
    WIDTH,
    Workload,
)

Call = Callable[[], Any]
#: Kernels in the graph of ``graph``, each after the one before.
GRAPH_KERNELS = 200
_TYPES = {
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "float32": torch.float32,
    "tf32": torch.float32,
}


def prepared(workload: Workload) -> tuple[Call, int]:
    """What to call, and how many of what is measured a call holds."""
    tf32 = workload.kernel is not None and workload.kernel.dtype == "tf32"
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    call: Call = globals()[f"_{workload.make}"](workload)
    return call, GRAPH_KERNELS if workload.make == "graph" else 1


def _dtype(workload: Workload) -> torch.dtype:
    assert workload.kernel is not None
    return _TYPES[workload.kernel.dtype]


def _product(workload: Workload) -> Call:
    kernel = workload.kernel
    assert kernel is not None
    assert kernel.product is not None
    sizes, dtype = kernel.product, _dtype(workload)
    m, n, k = sizes.m, sizes.n, sizes.k
    one = _random(k, m, dtype=dtype).t() if workload.layout == "tn" else _random(m, k, dtype=dtype)
    other = _random(n, k, dtype=dtype).t() if workload.layout == "nt" else _random(k, n, dtype=dtype)
    out = torch.empty(m, n, device="cuda", dtype=dtype)
    return lambda: torch.mm(one, other, out=out)


def _random(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, device="cuda", dtype=dtype)


def _stream(workload: Workload, width: int) -> Tensor:
    """Rows of so many elements, ``STREAM_BYTES`` in all."""
    dtype = _dtype(workload)
    return _random(STREAM_BYTES // dtype.itemsize // width, width, dtype=dtype)


def _copy(workload: Workload) -> Call:
    x = _stream(workload, 1024)
    y = torch.empty_like(x)
    return lambda: y.copy_(x)


def _add(workload: Workload) -> Call:
    x, y = _stream(workload, 1024), _stream(workload, 1024)
    out = torch.empty_like(x)
    return lambda: torch.add(x, y, out=out)


def _gelu(workload: Workload) -> Call:
    x = _stream(workload, 1024)
    return lambda: functional.gelu(x)


def _cast(workload: Workload) -> Call:
    x = _random(STREAM_BYTES // 4, dtype=torch.float32)
    y = torch.empty(x.shape, device="cuda", dtype=torch.bfloat16)
    return lambda: y.copy_(x)


def _layer_norm(workload: Workload) -> Call:
    x, weight = _stream(workload, WIDTH), _random(WIDTH, dtype=_dtype(workload))
    return lambda: functional.layer_norm(x, (WIDTH,), weight)


def _layer_norm_backward(workload: Workload) -> Call:
    x, weight = (
        _stream(workload, WIDTH).requires_grad_(),
        _random(WIDTH, dtype=_dtype(workload)).requires_grad_(),
    )
    out = functional.layer_norm(x, (WIDTH,), weight)
    gradient = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, (x, weight), gradient, retain_graph=True)


def _rms_norm(workload: Workload) -> Call:
    x, weight = _stream(workload, WIDTH), _random(WIDTH, dtype=_dtype(workload))
    return lambda: functional.rms_norm(x, (WIDTH,), weight)


def _softmax(workload: Workload) -> Call:
    x = _stream(workload, 1024)
    return lambda: torch.softmax(x, -1)


def _log_softmax(workload: Workload) -> Call:
    x = _stream(workload, VOCABULARY)
    return lambda: torch.log_softmax(x, -1)


def _log_softmax_backward(workload: Workload) -> Call:
    x = _stream(workload, VOCABULARY).requires_grad_()
    out = torch.log_softmax(x, -1)
    gradient = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, x, gradient, retain_graph=True)


def _gather(workload: Workload) -> Call:
    table = _stream(workload, WIDTH)
    rows = torch.randperm(len(table), device="cuda")
    return lambda: functional.embedding(rows, table)


def _flash_inputs(workload: Workload, gradients: bool) -> list[Tensor]:
    kernel = workload.kernel
    assert kernel is not None
    assert kernel.attention is not None
    sizes = kernel.attention
    shape = (sizes.batch, sizes.heads, sizes.queries, sizes.head)
    return [_random(*shape, dtype=torch.bfloat16).requires_grad_(gradients) for _ in range(3)]


def _flash(inputs: list[Tensor]) -> Tensor:
    query, key, value = inputs
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)


def _attention(workload: Workload) -> Call:
    inputs = _flash_inputs(workload, gradients=False)
    return lambda: _flash(inputs)


def _attention_backward(workload: Workload) -> Call:
    inputs = _flash_inputs(workload, gradients=True)
    out = _flash(inputs)
    gradient = torch.randn_like(out)
    return lambda: torch.autograd.grad(out, inputs, gradient, retain_graph=True)


def _adamw(**way: bool) -> Call:
    weights = [
        _random(OPTIMIZER_ELEMENTS, dtype=torch.float32).requires_grad_() for _ in range(OPTIMIZER_TENSORS)
    ]
    for each in weights:
        each.grad = torch.randn_like(each)
    return torch.optim.AdamW(weights, **way).step  # type: ignore[arg-type]


def _adamw_fused(workload: Workload) -> Call:
    return _adamw(fused=True)


def _adamw_foreach(workload: Workload) -> Call:
    return _adamw(foreach=True)


def _pair(workload: Workload) -> tuple[Tensor, Tensor]:
    """The same size on the card and pinned on the host."""
    elements = STREAM_BYTES // 2 // 4
    return torch.zeros(elements, device="cuda"), torch.zeros(elements, pin_memory=True)


def _to_card(workload: Workload) -> Call:
    card, host = _pair(workload)
    return lambda: card.copy_(host, non_blocking=True)


def _from_card(workload: Workload) -> Call:
    card, host = _pair(workload)
    return lambda: host.copy_(card, non_blocking=True)


def _one_element(workload: Workload) -> Call:
    x = torch.zeros(1, device="cuda")
    return lambda: x.add_(1)


def _small_linear(workload: Workload) -> Call:
    layer = torch.nn.Linear(16, 16, device="cuda")
    x = torch.zeros(1, 16, device="cuda")
    return lambda: layer(x)


def _synchronise(workload: Workload) -> Call:
    return torch.cuda.synchronize


def _round_trip(workload: Workload) -> Call:
    x = torch.zeros(1, device="cuda")

    def call() -> None:
        x.add_(1)
        torch.cuda.synchronize()

    return call


def _graph(workload: Workload) -> Call:
    x = torch.zeros(1, device="cuda")
    x.add_(1)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(GRAPH_KERNELS):
            x.add_(1)
    return graph.replay
