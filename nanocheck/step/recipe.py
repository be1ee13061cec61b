"""What differs from model to model: how it is built, with what it is trained, and by which loop.

``run.py`` and ``cycle.py`` are written once, against ``Recipe``; GPT-2's is the base, and nanochat's
override what its own scripts do in another way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor, nn

from nanocheck.core.config import StepConfig
from nanocheck.step.data import Batches
from nanocheck.step.methods.weights import cast_weights
from nanocheck.step.model import GPT, initialise
from nanocheck.step.optimizer import blank_state, build_optimizer
from nanocheck.step.training import Observe, Training

#: Reads a checkpoint: its tensors are on the device afterwards.
Load = Callable[[], dict[str, Any]]


class Recipe:
    """GPT-2 as nanoGPT builds it."""

    #: The loop.
    training: ClassVar[type[Training]] = Training
    #: What the original says to ``torch.compile`` beside the mode.
    compile_options: ClassVar[Mapping[str, Any]] = {}

    def batches(self, config: StepConfig, device: str, tokens: Sequence[int] | None) -> Batches:
        """Where the loop fetches its data; made before anything else."""
        return Batches(config, device, tokens)

    def blank(self, config: StepConfig) -> nn.Module:
        """The model on the host, its weights whatever was in memory."""
        model = GPT(config)
        cast_weights(model, config)
        return model

    def build(
        self, config: StepConfig, device: str, load: Load | None, observe: Observe
    ) -> tuple[nn.Module, dict[str, Any] | None]:
        """The model on the device with its first weights, or with a checkpoint's.

        Args:
            load: reads the checkpoint; ``None`` where the run starts anew.

        Returns:
            The model, and what of the checkpoint is still alive, ``optimizer`` among it.
        """
        model = self.blank(config)
        loaded = None
        if load is not None:
            loaded = load()
            model.load_state_dict(loaded["model"])
            observe("resume", 0)
        model.to(device)
        if loaded is None:
            initialise(cast(GPT, model), config)
        return model, loaded

    def network(self, model: nn.Module, config: StepConfig) -> nn.Module:
        """What is called in a forward: the model, or ``torch.compile``'s wrapper of it."""
        if config.compile == "off":
            return model
        return cast(nn.Module, torch.compile(model, mode=config.compile, **self.compile_options))

    def optimizer(self, model: nn.Module, config: StepConfig) -> torch.optim.Optimizer:
        """The optimizer of ``config.optimizer``, without state yet."""
        return build_optimizer(model, config)

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """``optimizer.state_dict()`` as it is after a step, its tensors on the host and without values."""
        return blank_state(optimizer)

    def resumed_weights(self, loaded: dict[str, Any]) -> dict[str, Tensor] | None:
        """The checkpoint's weights, where the original keeps a name on them."""
        weights: dict[str, Tensor] | None = loaded.get("model")
        return weights
