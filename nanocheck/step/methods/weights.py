"""Weights in other formats than fp32: all in bf16, or frozen in 4 bits under small trained adapters."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.memory_formulas import LORA_RANK
from nanocheck.step.precision import compute_dtype

#: alpha / rank = 2, as many fine-tuning recipes have it; it does not move memory.
LORA_SCALE = 2.0


def cast_weights(model: nn.Module, config: StepConfig) -> None:
    """Give every parameter its format where it is, if ``config.weights`` is ``bf16``.

    Gradients and optimizer state then are bf16, too, and no autocast is needed. PyTorch's AdamW rounds each
    update to the nearest bf16 (8 bits of mantissa): changes below 1/512 of a weight are lost, for nothing
    here rounds stochastically.
    """
    if config.weights == "bf16":
        model.to(torch.bfloat16)


class LoraLinear(nn.Module):
    """A frozen NF4 linear layer and two small trained matrices: W x + scale * B (A x).

    W is bitsandbytes' ``Linear4bit`` with double quantisation, the layer of QLoRA (Dettmers et al. 2023). A
    is (rank, in) and B (out, rank), in fp32; both are cast to the type of ``x`` where they are used. B begins
    as zeros, so that the first output is the frozen layer's.
    """

    def __init__(self, linear: nn.Linear, draws: torch.Generator) -> None:
        super().__init__()
        nn4bit = _bitsandbytes()
        width, height = linear.in_features, linear.out_features
        # Made without memory: its weight is the given one, quantised when it moves to the device.
        self.base = nn4bit.Linear4bit(
            width, height, bias=False, compute_dtype=linear.weight.dtype, quant_type="nf4", device="meta"
        )
        self.base.weight = nn4bit.Params4bit(
            linear.weight.data, requires_grad=False, quant_type="nf4", module=self.base
        )
        self.base.bias = linear.bias
        # On some CPUs it packs the weights another way when it first evaluates, and needs widths of n x 64.
        self.base.support_avx512bf16_for_cpu = False
        bound = 1 / math.sqrt(width)
        self.lora_a = nn.Parameter(torch.empty(LORA_RANK, width).uniform_(-bound, bound, generator=draws))
        self.lora_b = nn.Parameter(torch.zeros(height, LORA_RANK))

    def forward(self, x: Tensor) -> Tensor:
        low = functional.linear(x, self.lora_a.to(x.dtype))
        update = functional.linear(low, self.lora_b.to(x.dtype))
        return self.base(x) + LORA_SCALE * update  # type: ignore[no-any-return]


def add_adapters(model: nn.Module, config: StepConfig) -> None:
    """Freeze a model on the host and put ``LoraLinear`` in the place of its blocks' linear layers.

    Everything frozen is cast to the type that matrix products run in, as such a base is usually loaded.
    Gates and what is smaller than the adapter's rank in one direction are only frozen. The 4-bit form comes
    into being when the model moves to its device, layer by layer.
    """
    # Values come first: bitsandbytes quantises what it is given.
    model.to(compute_dtype(config))
    model.requires_grad_(False)
    draws = torch.Generator().manual_seed(config.seed)
    for block in model.get_submodule("transformer.h").children():
        for owner in list(block.modules()):
            for name, child in list(owner.named_children()):
                if name == "ve_gate":
                    continue
                if isinstance(child, nn.Linear) and min(child.weight.shape) >= LORA_RANK:
                    setattr(owner, name, LoraLinear(child, draws))


def weights_to_save(model: nn.Module, config: StepConfig) -> dict[str, Tensor]:
    """What a checkpoint keeps of the model: everything, or what is trained where the rest never changes."""
    if config.weights != "nf4-lora":
        return model.state_dict()
    return {name: each.detach() for name, each in model.named_parameters() if each.requires_grad}


def build_with_adapters(
    base: nn.Module, config: StepConfig, device: str, load: Callable[[], dict[str, Any]] | None
) -> tuple[nn.Module, dict[str, Any] | None]:
    """The model on the device, its base quantised, and what of a checkpoint of adapters is still alive.

    Args:
        base: the model on the host, with the weights that stay as they are.
        load: reads the checkpoint.
    """
    add_adapters(base, config)
    base.to(device)
    loaded = None
    if load is not None:
        loaded = load()
        with torch.no_grad():
            trained = dict(base.named_parameters())
            for name, value in loaded["model"].items():
                trained[name].copy_(value)
    return base, loaded


def _bitsandbytes() -> Any:
    try:
        return importlib.import_module("bitsandbytes.nn")
    except ImportError as error:
        raise RequestError(
            f"expected bitsandbytes for weights nf4-lora, found none here ({error})",
            hint='pip install bitsandbytes   # or: pip install "pytest-nanocheck[methods]"',
        ) from error
