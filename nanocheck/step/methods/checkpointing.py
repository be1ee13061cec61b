"""Activation checkpointing: what the forward of a block computed is computed again in the backward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

_ATEN = torch.ops.aten

#: What ``selective`` keeps: outputs of matrix products and of attention. Everything else (norms, casts,
#: activation functions, copies) is cheap to compute again. Math attention is made of ``bmm``.
KEPT = [
    _ATEN.mm.default,
    _ATEN.addmm.default,
    _ATEN.bmm.default,
    _ATEN._scaled_dot_product_flash_attention.default,
    _ATEN._scaled_dot_product_efficient_attention.default,
    _ATEN._scaled_dot_product_cudnn_attention.default,
    _ATEN._scaled_dot_product_flash_attention_for_cpu.default,
]

#: Dynamo takes a context function of this form, but not the one that stands for none.
_OPTIONS: dict[str, dict[str, Any]] = {
    "block": {},
    "selective": {"context_fn": partial(create_selective_checkpoint_contexts, KEPT)},
}


def checkpoint_blocks(model: nn.Module, kind: str) -> None:
    """Run each transformer block of ``model`` under ``torch.utils.checkpoint`` while it trains.

    The blocks are the children of ``model.transformer.h``, in every model here. Their names in the state
    dict stay as they are. ``use_reentrant=False`` is what PyTorch recommends; random states are saved and
    restored as by default.

    Args:
        kind: ``none``, ``block`` (keep a block's inputs only) or ``selective`` (keep ``KEPT``, too).
    """
    if kind == "none":
        return
    for block in model.get_submodule("transformer.h").children():
        block.forward = partial(_checkpointed, block, block.forward, _OPTIONS[kind])


def _checkpointed(
    block: nn.Module, forward: Callable[..., Any], options: dict[str, Any], *args: Any, **kwargs: Any
) -> Any:
    # Evaluation has no backward for which anything would be kept.
    if not block.training:
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **options, **kwargs)
