"""Recipes of nanochat and autoresearch: how their scripts build, train and resume each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

import torch
from torch import Tensor

from nanocheck.core.config import StepConfig
from nanocheck.step.data import Batches
from nanocheck.step.methods.weights import cast_weights
from nanocheck.step.nanochat.autoresearch import Autoresearch
from nanocheck.step.nanochat.data import Batches2025, Batches2026, BufferedBatches
from nanocheck.step.nanochat.groups import build_autoresearch_optimizer, build_muon_adamw
from nanocheck.step.nanochat.muon_2025 import Pair, build_pair
from nanocheck.step.nanochat.muon_2026 import MuonAdamW
from nanocheck.step.nanochat.release_2025 import Nanochat2025
from nanocheck.step.nanochat.release_2026 import Nanochat2026
from nanocheck.step.nanochat.training import AutoresearchTraining, NanochatTraining
from nanocheck.step.recipe import Load, Recipe
from nanocheck.step.training import Observe, Training

Model = Nanochat2025 | Nanochat2026 | Autoresearch


class NanochatRecipe(Recipe):
    """What all share: built on the meta device, compiled for fixed shapes."""

    training: ClassVar[type[Training]] = NanochatTraining
    compile_options: ClassVar[Mapping[str, Any]] = {"dynamic": False}
    model: ClassVar[type[Model]]

    def blank(self, config: StepConfig) -> Model:
        """The model on the host with the dtypes of a trained one."""
        model = self.model(config)
        model.cast_embeddings()
        cast_weights(model, config)
        return model

    def build(
        self, config: StepConfig, device: str, load: Load | None, observe: Observe
    ) -> tuple[Model, dict[str, Any] | None]:
        """First without memory, then with it, then with values; a checkpoint's tensors take their place.

        The release of 2025 and autoresearch could not resume; they do here as that of 2026.
        """
        with torch.device("meta"):
            model = self.model(config)
            cast_weights(model, config)
        model.to_empty(device=device)
        model.initialise()
        loaded = None
        if load is not None:
            loaded = load()
            model.load_state_dict(loaded.pop("model"), strict=True, assign=True)
            observe("resume", 0)
        return model, loaded

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """See ``Recipe.optimizer_state``."""
        if isinstance(optimizer, (Pair, MuonAdamW)):
            return optimizer.blank_state()
        return super().optimizer_state(optimizer)

    def resumed_weights(self, loaded: dict[str, Any]) -> dict[str, Tensor] | None:
        """They are the model's now."""
        return None


class Recipe2025(NanochatRecipe):
    """October 2025: bf16 autocast, AdamW and Muon beside each other, gradients clipped."""

    model = Nanochat2025

    def batches(self, config: StepConfig, device: str, tokens: Sequence[int] | None) -> Batches:
        """See ``Batches2025``."""
        return Batches2025(config, device, tokens)

    def optimizer(self, model: torch.nn.Module, config: StepConfig) -> torch.optim.Optimizer:
        """Muon and its AdamW, or nanoGPT's AdamW over all."""
        if config.optimizer != "muon":
            return super().optimizer(model, config)
        return cast(torch.optim.Optimizer, build_pair(cast(Nanochat2025, model), config))


class Recipe2026(NanochatRecipe):
    """Mid-2026: weights cast where they are used, one optimizer, no clipping."""

    model = Nanochat2026

    def batches(self, config: StepConfig, device: str, tokens: Sequence[int] | None) -> Batches:
        """See ``Batches2026``."""
        return Batches2026(config, device, tokens)

    def optimizer(self, model: torch.nn.Module, config: StepConfig) -> torch.optim.Optimizer:
        """Muon and AdamW in one, or nanoGPT's AdamW over all."""
        if config.optimizer != "muon":
            return super().optimizer(model, config)
        return build_muon_adamw(cast(Nanochat2026, model), config)


class RecipeAutoresearch(NanochatRecipe):
    """autoresearch: bf16 autocast as in 2025, value embeddings and one optimizer as in 2026, no clipping."""

    model = Autoresearch
    training = AutoresearchTraining

    def batches(self, config: StepConfig, device: str, tokens: Sequence[int] | None) -> Batches:
        """See ``BufferedBatches``."""
        return BufferedBatches(config, device, tokens)

    def optimizer(self, model: torch.nn.Module, config: StepConfig) -> torch.optim.Optimizer:
        """Muon and AdamW in one, or nanoGPT's AdamW over all."""
        if config.optimizer != "muon":
            return super().optimizer(model, config)
        return build_autoresearch_optimizer(cast(Autoresearch, model), config)


RECIPES: Mapping[str, type[NanochatRecipe]] = {
    "nanochat-2025": Recipe2025,
    "nanochat-2026": Recipe2026,
    "autoresearch": RecipeAutoresearch,
}
