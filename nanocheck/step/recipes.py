"""The recipe of each model."""

from __future__ import annotations

from nanocheck.core.config import StepConfig
from nanocheck.step.recipe import Recipe


def recipe_of(config: StepConfig) -> Recipe:
    """The recipe of ``config.model``."""
    if config.ranks > 1:
        from nanocheck.step.sharding.recipe import RECIPES as SHARDED  # not for everyone: torch.distributed

        return SHARDED[config.sharding]()
    if config.model == "gpt2":
        return Recipe()
    from nanocheck.step.nanochat.recipe import RECIPES  # not for everyone: it imports three models

    return RECIPES[config.model]()
