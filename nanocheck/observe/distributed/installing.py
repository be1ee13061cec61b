"""Puts the answers for ranks that are left out into ``torch.distributed``, as soon as it is imported.

Nothing is changed for a run whose every rank is there: each of these looks when it is called.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlparse

from nanocheck.observe import absent_ranks

#: The module that ``install`` waits for.
MODULE = "torch.distributed.distributed_c10d"


def install() -> None:
    """Right after the module's own import, so that nobody has its functions yet."""
    from nanocheck.observe.distributed import (
        bucket_order,
        groups,
        host_group,
        nccl_groups,
        stores,
        symmetric_memory,
        unknown_senders,
    )

    c10d = sys.modules[MODULE]
    _learn_the_rank(c10d)
    if os.environ.get(absent_ranks.VARIABLE, absent_ranks.ALL) != absent_ranks.ALL:
        groups.install(c10d)
        stores.install(c10d)
        nccl_groups.install(c10d)
        host_group.install(c10d)
        unknown_senders.install(c10d)
        symmetric_memory.install(c10d)
        bucket_order.install()


def _learn_the_rank(c10d: ModuleType) -> None:
    """A script that is told its rank by no launcher says it here, at the latest."""
    original = c10d.init_process_group
    signature = inspect.signature(original)

    @functools.wraps(original)
    def init_process_group(*args: Any, **kwargs: Any) -> Any:
        try:
            given = signature.bind(*args, **kwargs).arguments
        except TypeError:
            return original(*args, **kwargs)  # says what is wrong
        address = parse_qs(urlparse(str(given.get("init_method") or "")).query)
        rank, world = (
            _said(given.get(name, -1), address.get(name, [""])[0], os.environ.get(variable, ""))
            for name, variable in (("rank", "RANK"), ("world_size", "WORLD_SIZE"))
        )
        if rank is not None and world is not None:
            absent_ranks.settle(rank, world)
        return original(*args, **kwargs)

    c10d.init_process_group = init_process_group  # type: ignore[attr-defined]


def _said(argument: Any, *texts: str) -> int | None:
    if isinstance(argument, int) and argument >= 0:
        return argument
    return next((int(each) for each in texts if each.isdecimal()), None)
