"""Which rank of a distributed run this process is, and which of the machine's cards it has."""

from __future__ import annotations

import os

import torch

from nanocheck.observe import nodes


def own_rank() -> int | None:
    """As the launcher says it, such as ``torchrun``; None: there are no ranks."""
    rank = os.environ.get("RANK", "")
    return int(rank) if rank.isdecimal() and world() > 1 else None


def world() -> int:
    """How many ranks the launcher says there are; 1 where it says nothing."""
    said = os.environ.get("WORLD_SIZE", "")
    return int(said) if said.isdecimal() else 1


def own_card() -> int:
    """The current device, as the run numbers the cards of all its nodes."""
    current = torch.cuda.current_device()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    named = current < len(visible) and visible[current].isdecimal()
    return nodes.card_in_run(int(visible[current]) if named else current)
