"""What ``torch.distributed.checkpoint`` saves where ranks are left out: the parts of those that run.

The rank that plans a checkpoint is told every rank's parts; of one that is left out it hears its own again,
so that its part would be there twice and the other's never. Only the ranks that run are planned for.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from typing import Any

from nanocheck.observe import absent_ranks

#: The module that ``install`` waits for.
MODULE = "torch.distributed.checkpoint.default_planner"


def install() -> None:
    """In the planner that is used where a script names none."""
    module: Any = sys.modules[MODULE]
    _plan_for_those_who_run(module)
    check = module._validate_global_plan
    # Since torch 2.10 it is a list of what is wrong.
    good: Any = True if inspect.signature(check).return_annotation is bool else []

    @functools.wraps(check)
    def validate(global_plan: Any, metadata: Any) -> Any:
        """Whether the parts cover the whole, which those of some ranks cannot."""
        return check(global_plan, metadata) if absent_ranks.present() is None else good

    module._validate_global_plan = validate


def _plan_for_those_who_run(module: Any) -> None:
    planner = module.DefaultSavePlanner
    original = planner.create_global_plan

    @functools.wraps(original)
    def create_global_plan(self: Any, all_plans: list[Any]) -> Any:
        present, world = absent_ranks.present(), absent_ranks.settled()
        if present is None or world is None or len(all_plans) != world[1]:  # a group of its own
            return original(self, all_plans)
        return original(
            self,
            [
                plan if rank in present else dataclasses.replace(plan, items=[])
                for rank, plan in enumerate(all_plans)
            ],
        )

    planner.create_global_plan = create_global_plan
