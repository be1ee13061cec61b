"""Which rank of a distributed run this process is, and which of the machine's cards it has."""

from __future__ import annotations

import os

import torch

from nanocheck.observe import absent_ranks, nodes


def own_rank() -> int | None:
    """As the launcher, such as ``torchrun``, or the script says it; None: there are no ranks, or not yet."""
    told = absent_ranks.settled()
    return told[0] if told is not None and told[1] > 1 else None


def world() -> int:
    """How many ranks are said to be there, whether they run or not; 1 where nobody says it."""
    told = absent_ranks.settled()
    return 1 if told is None else told[1]


def running() -> frozenset[int]:
    """Those that run, of this process's world."""
    some = absent_ranks.present()
    return frozenset(range(world())) if some is None else some


def own_card() -> int:
    """The current device, as the run numbers the cards of all its nodes."""
    return card_of(torch.cuda.current_device())


def card_of(device: int) -> int:
    """A device of this process, as the run numbers the cards of all its nodes."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    named = device < len(visible) and visible[device].isdecimal()
    return nodes.card_in_run(int(visible[device]) if named else device)
