"""AOTAutograd's memory budget: which activations a compiled step keeps, chosen by a knapsack over them."""

from __future__ import annotations

from torch._functorch import config as functorch

from nanocheck.core.config import StepConfig


def set_memory_budget(config: StepConfig) -> None:
    """Tell AOTAutograd, for the whole process, how much of the activations it may keep.

    ``memory_budget`` is a percentage of what the compiled step would keep of itself; at 100 the partitioner
    decides as it always does. Every further step down recomputes more, but the peak need not fall: what is
    computed again needs room in the backward.
    """
    functorch.activation_memory_budget = config.memory_budget / 100
