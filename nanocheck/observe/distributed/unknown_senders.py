"""Objects that only a rank knows which is left out: said at once, by name, instead of read from nowhere."""

from __future__ import annotations

import functools
import inspect
from types import ModuleType
from typing import Any

from nanocheck.observe import absent_ranks


def install(c10d: ModuleType) -> None:
    """In the functions that receive Python objects from one rank."""
    for name, parameter in (
        ("broadcast_object_list", "src"),
        ("scatter_object_list", "src"),
        ("recv_object_list", "src"),
    ):
        setattr(c10d, name, _asking(c10d, getattr(c10d, name), parameter))


def why_unknown(sender: int) -> str | None:
    """What to say where this global rank's own objects are asked for; None: it runs."""
    present = absent_ranks.present()
    if present is None or sender in present:
        return None
    here = ",".join(map(str, sorted({*present, sender})))
    return f"expected an object of rank {sender}, found that rank {sender} does not run: --ranks {here}"


def _asking(c10d: ModuleType, original: Any, parameter: str) -> Any:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def asked(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        sender, place = bound.arguments.get(parameter), bound.arguments.get("group_src")
        group = bound.arguments.get("group")
        if place is not None:
            sender = c10d.get_global_rank(group or c10d.group.WORLD, place)
        elif sender is None and original.__name__ != "recv_object_list":
            sender = 0
        member = group is not c10d.GroupMember.NON_GROUP_MEMBER
        if member and sender is not None and (why := why_unknown(sender)) is not None:
            raise RuntimeError(why)
        return original(*args, **kwargs)

    return asked
