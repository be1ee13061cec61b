"""Runs of several ranks that nobody made."""

from __future__ import annotations

from made_up import DEVICE, peaks, result
from msgspec.structs import replace as changed

from nanocheck.core.device import CardsAlike
from nanocheck.core.result import RunResult
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.units import MIB


def ranks(sizes: dict[int, int], world: int = 0) -> RunResult:
    """A run whose ranks hold so many MiB at their peaks, by a line of their own each; a card each."""
    found = result(peaks=peaks())
    made = []
    for rank, size in sizes.items():
        frame = CodeFrame(where=f"train.py:{rank + 1}", function="f", line=f"x{rank} = y")
        held = StackHolding(
            bytes=size * MIB, most_bytes=size * MIB, count=1, group="activations", frames=(frame,)
        )
        made.append(
            changed(
                found.main,
                pid=100 + rank,
                rank=rank,
                card=rank,
                peaks=peaks(allocated=size * MIB, reserved=size * MIB),
                allocated_bytes=size * MIB,
                reserved_bytes=size * MIB,
                process_bytes=(size + 300) * MIB,
                stacks=(held,),
            )
        )
    ordered = tuple(sorted(made, key=lambda each: -each.reserved_bytes))
    world = world or len(sizes)
    return changed(
        found, processes=ordered, world=world, machine=(CardsAlike(cards=max(world, 2), device=DEVICE),)
    )
