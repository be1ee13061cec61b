"""GPT-2 as ranks share it: DistributedDataParallel, ZeRO-1 under it, and ``fully_shard``."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import torch
from torch import nn
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

from nanocheck.core.config import StepConfig
from nanocheck.step.methods.weights import cast_weights
from nanocheck.step.model import GPT, initialise
from nanocheck.step.optimizer import BETAS, LEARNING_RATE, SWITCHES, decay_groups
from nanocheck.step.recipe import Load, Recipe
from nanocheck.step.sharding.group import is_alone
from nanocheck.step.training import Observe, Training


class _ReplicatedTraining(Training):
    """nanoGPT's loop: gradients are added up over the ranks in a step's last micro-batch alone."""

    last_differs: ClassVar[bool] = True

    def before_micro_batch(self, *, last: bool) -> None:
        cast(DistributedDataParallel, self.network).require_backward_grad_sync = last


class Replicated(Recipe):
    """``ddp``: every rank has everything, as nanoGPT's ``train.py`` under torchrun."""

    training: ClassVar[type[Training]] = _ReplicatedTraining

    def network(self, model: nn.Module, config: StepConfig) -> nn.Module:
        """Compiled, then wrapped, in nanoGPT's order; buckets beside the gradients, as by default."""
        return DistributedDataParallel(
            super().network(model, config), device_ids=[torch.cuda.current_device()]
        )


class _LargestPart(ZeroRedundancyOptimizer):
    """Rank 0 with the part of the rank that has the largest: they trade places."""

    def _partition_parameters(self, params_per_rank: Any = None) -> list[Any]:
        parts = list(super()._partition_parameters(params_per_rank))  # type: ignore[misc]
        numbers = [sum(each.numel() for group in part for each in group["params"]) for part in parts]
        largest = numbers.index(max(numbers))
        parts[0], parts[largest] = parts[largest], parts[0]
        return parts


class SharedState(Replicated):
    """``zero1``: ``ddp``, and each rank keeps the optimizer's state of some parameters only.

    It updates those and sends them to the others (``ZeroRedundancyOptimizer``, its defaults).
    """

    def optimizer(self, model: nn.Module, config: StepConfig) -> torch.optim.Optimizer:
        kind = _LargestPart if is_alone() else ZeroRedundancyOptimizer
        return kind(
            decay_groups(model),
            torch.optim.AdamW,
            lr=LEARNING_RATE,
            betas=BETAS,
            **SWITCHES[config.optimizer],
        )


class FullyShared(Recipe):
    """``fsdp2``: ``fully_shard`` of every block and of the rest, as PyTorch's tutorial and torchtitan do it.

    Parameters are born without memory and get their shards' alone. Where the configuration's dtype is bf16,
    a forward and backward see bf16 copies of whole parameters and gradients are added up in fp32; there is no
    autocast. A block's copies are dropped after its forward and made again for its backward, the root's
    (embeddings, which are the head, too, and the last norm) are kept from forward to backward: the defaults.
    Every micro-batch adds its gradients up over the ranks, so that only shards of them are kept.
    A compiled step compiles each block.
    """

    def build(
        self, config: StepConfig, device: str, load: Load | None, observe: Observe
    ) -> tuple[nn.Module, dict[str, Any] | None]:
        with torch.device("meta"):
            model = GPT(config)
            cast_weights(model, config)
        mixed = config.dtype == "bf16" and config.weights == "fp32"
        policy = (
            MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
            if mixed
            else MixedPrecisionPolicy()
        )
        for block in _blocks(model):
            fully_shard(block, mp_policy=policy)
        fully_shard(model, mp_policy=policy)
        model.to_empty(device=device)
        initialise(model, config)
        return model, None

    def network(self, model: nn.Module, config: StepConfig) -> nn.Module:
        """The hooks that gather and free parameters stay outside of what is compiled."""
        if config.compile != "off":
            for block in _blocks(model):
                block.forward = torch.compile(block.forward, mode=config.compile)
        return model


def _blocks(model: nn.Module) -> list[nn.Module]:
    return list(model.get_submodule("transformer.h").children())


RECIPES: dict[str, type[Recipe]] = {"ddp": Replicated, "zero1": SharedState, "fsdp2": FullyShared}
