"""Facts about a run that PyTorch knows, asked after the measuring because asking allocates."""

from __future__ import annotations

import os

import torch

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.observe.workspaces import cublas_workspaces
from nanocheck.step.model import attention_inputs
from nanocheck.step.nanochat.windows import window_lengths, window_mask
from nanocheck.step.precision import compute_dtype

# torch.nn.attention.SDPBackend, in the order of ``nanocheck.observe.introspect.attention_backend``
_SDPA_NAMES = {1: "flash", 2: "efficient", 3: "cudnn", 0: "math"}


def sdpa_backend(config: StepConfig, device: str) -> str:
    """The attention backend PyTorch chooses for this configuration: flash, efficient, cudnn or math.

    With two kinds of windows two may be chosen: ``flash+efficient``. ``unknown`` where PyTorch names none of
    them or the question itself runs out of memory. Allocates tensors of the layer's shape and dtype on the
    device.
    """
    try:
        qkv = torch.empty(
            (config.batch, config.block_size, 3 * config.n_embd),
            device=device,
            dtype=compute_dtype(config),
            requires_grad=True,
        )
        q, k, v = attention_inputs(qkv, config.n_head)
        lengths = window_lengths(config) if config.model == "nanochat-2026" else [config.block_size]
        chosen = set()
        for length in sorted({min(each, config.block_size) for each in lengths}):
            mask = window_mask(config.block_size, length, q.device) if length < config.block_size else None
            chosen.add(
                torch._fused_sdp_choice(q, k, v, attn_mask=mask, dropout_p=0.0, is_causal=mask is None)
            )
    except torch.OutOfMemoryError:
        return "unknown"
    return "+".join(name for number, name in _SDPA_NAMES.items() if number in chosen) or "unknown"


def cublas_workspace_bytes() -> int | None:
    """Bytes of the workspace that PyTorch asks its allocator for, per cuBLAS handle and stream.

    torch 2.13 and later say it. Before, it is found by letting go of the workspaces and looking for
    the largest block that vanished, so call it after the measuring. ``None`` without a used GPU.
    """
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return None
    ask = getattr(torch.backends.cuda, "cublas_workspace_size", None)
    if ask is not None:
        return int(ask())
    return max(cublas_workspaces().values(), default=None)


def computes_nothing(device: str) -> bool:
    """Whether a run on ``device`` of this process runs on the virtual GPU."""
    return torch.device(device).type == "cuda" and "NANOCHECK_CARD" in os.environ


def refuse_on_virtual_gpu(device: str) -> None:
    """Refuse to read a loss where nothing is computed.

    Raises:
        RequestError: this process runs on the virtual GPU.
    """
    if computes_nothing(device):
        raise RequestError(
            "a loss was asked of the virtual GPU, which computes nothing: what it holds is not a result",
            hint="run the loss on the CPU, or on a real GPU",
        )
