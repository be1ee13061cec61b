"""Which blocks are cuBLAS's workspaces: those that vanish when PyTorch lets go of them."""

from __future__ import annotations

import torch

from nanocheck.observe.allocator_history import memory_snapshot


def cublas_workspaces() -> dict[int, int]:
    """Requested bytes by address. Lets go of them, so call it after the measuring."""
    before = _active_blocks()
    torch._C._cuda_clearCublasWorkspaces()
    vanished = before.keys() - _active_blocks().keys()
    return {address: before[address] for address in sorted(vanished)}


def _active_blocks() -> dict[int, int]:
    """Requested bytes by address."""
    return {
        block["address"]: block["requested_size"]
        for segment in memory_snapshot()["segments"]
        for block in segment["blocks"]
        if block["state"].startswith("active")
    }
