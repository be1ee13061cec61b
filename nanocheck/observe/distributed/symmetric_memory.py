"""Symmetric memory of a group of which ranks are left out: refused by name, where it would wait for ever.

Its ranks hand each other descriptors of their memory, past the stores and collectives that are answered for.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import torch

from nanocheck.observe import absent_ranks


def install(c10d: ModuleType) -> None:
    """Where Python makes it, which is before an operator can need it; torch 2.4 has none."""
    kind: Any = getattr(torch._C._distributed_c10d, "_SymmetricMemory", None)
    if kind is None:
        return
    original = kind.rendezvous

    @functools.wraps(original)
    def rendezvous(tensor: Any, group_name: Any = None) -> Any:
        group = c10d.group.WORLD if group_name is None else c10d._resolve_process_group(group_name)
        why = why_refused(c10d.get_process_group_ranks(group))
        if why is not None:
            raise RuntimeError(why)
        return original(tensor, group_name)

    kind.rendezvous = staticmethod(rendezvous)


def why_refused(members: list[int]) -> str | None:
    """What to say of a group of these global ranks; None: all of them run."""
    present = absent_ranks.present()
    absent = [each for each in members if present is not None and each not in present]
    if not absent:
        return None
    whose = ", ".join(map(str, absent))
    return f"expected all ranks of symmetric memory, found that {whose} of {members} do not run: --ranks all"
