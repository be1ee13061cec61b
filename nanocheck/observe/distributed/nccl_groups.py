"""NCCL's groups: who is in each, and the unique id that a first rank which is left out would have made."""

from __future__ import annotations

import ctypes
import functools
import hashlib
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from nanocheck.observe import absent_ranks
from nanocheck.observe.distributed import groups

#: Of NCCL's ``ncclUniqueId``.
_ID_BYTES = 128
_MOST_SPLIT = 2**31 - 1


def install(c10d: ModuleType) -> None:
    """In every NCCL group that is made from now on."""
    from torch._C import _distributed_c10d as native

    if not hasattr(native, "ProcessGroupNCCL"):
        return
    original = native.ProcessGroupNCCL.__init__

    @functools.wraps(original)
    def made(self: Any, store: Any, rank: int, size: int, *rest: Any, **named: Any) -> None:
        if absent_ranks.present() is not None:
            given: Any = named.get("options", rest[0] if rest else None)
            members = groups.members_now(size)
            if getattr(given, "split_from", None) is not None:
                _say("nanocheck_nccl_split_members", given.split_color, members)
            _tell(store, rank, members, str(getattr(given, "group_name", "")))
        original(self, store, rank, size, *rest, **named)

    native.ProcessGroupNCCL.__init__ = made  # type: ignore[method-assign]
    _splits(c10d, native.ProcessGroup)


def _tell(store: Any, rank: int, members: Sequence[int], name: str) -> None:
    """What PyTorch's own group of these members will look for in its store."""
    present = absent_ranks.present() or frozenset()
    if members[0] not in present:
        made = unique_id(f"group {name}", members)
        for key in ("0", "UniqueNCCLID:0"):  # of one root, and of several
            store.set(key, made)
        _say("nanocheck_nccl_members", made, members)
    # For messages between two the lower one makes it, under a name of both.
    for peer in range(rank):
        if members[peer] not in present:
            two = (members[peer], members[rank])
            pair = unique_id(f"pair {name}", two)
            store.set(f"{peer}:{rank}", pair)
            _say("nanocheck_nccl_members", pair, two)


def unique_id(kind: str, members: Sequence[int]) -> bytes:
    """The same in every process that is asked."""
    text = f"nanocheck {kind} {','.join(map(str, members))}"
    return hashlib.sha256(text.encode()).hexdigest().encode().ljust(_ID_BYTES, b"\0")


def split_colours(ranks: Sequence[int]) -> tuple[int, int]:
    """Of NCCL's split, as PyTorch's C++ makes it from the ranks in the parent.

    The first of them (torch 2.14 does), or a hash of all (``genNcclSplitColor`` of releases before).
    """
    mixed, word = 0, 2**64 - 1
    for rank in ranks:
        mixed ^= (rank + 0x9E3779B9 + (mixed << 6 & word) + (mixed >> 2)) & word
    signed = mixed - 2**64 if mixed >= 2**63 else mixed
    return min(ranks), abs(signed) % _MOST_SPLIT


def _splits(c10d: ModuleType, group: Any) -> None:
    original: Callable[..., Any] | None = getattr(group, "split_group", None)
    if original is None:
        return

    @functools.wraps(original)
    def split_group(self: Any, new_ranks: Sequence[int], *rest: Any, **named: Any) -> Any:
        if absent_ranks.present() is not None:
            of_parent = {at: each for each, at in c10d._world.pg_group_ranks.get(self, {}).items()}
            members = [of_parent.get(each, each) for each in new_ranks]
            for colour in split_colours(new_ranks):
                _say("nanocheck_nccl_split_members", colour, members)
        return original(self, new_ranks, *rest, **named)

    group.split_group = split_group


def _say(function: str, key: bytes | int, members: Sequence[int]) -> None:
    """To the virtual card's NCCL; on a real card there is nobody to tell."""
    say = getattr(ctypes.CDLL(None), function, None)
    if say is not None:
        say(key, len(members), (ctypes.c_int * len(members))(*members))
