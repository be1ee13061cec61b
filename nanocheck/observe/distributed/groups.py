"""Which ranks a process group has that is being made, or was."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

_now: list[int] = []


def install(c10d: ModuleType) -> None:
    """Remembers the members while PyTorch makes a group: its backends are told a size only."""
    original = c10d._new_process_group_helper

    @functools.wraps(original)
    def helper(size: int, rank: int | None, members: list[int], *rest: Any, **named: Any) -> Any:
        global _now
        _now = list(members)
        try:
            return original(size, rank, members, *rest, **named)
        finally:
            _now = []

    c10d._new_process_group_helper = helper  # type: ignore[attr-defined]


def members_now(size: int) -> list[int]:
    """Global ranks of the group that is being made, in its order; of the world where nobody said any."""
    return _now or list(range(size))


def members_of(c10d: ModuleType, name: str) -> list[int] | None:
    """Of a group by its name; None: there is none."""
    for group, its_name in c10d._world.pg_names.items():
        if its_name == name:
            return list(c10d._world.pg_group_ranks.get(group, {})) or None
    return None
