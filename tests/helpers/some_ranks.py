"""A run of which some ranks run: its launcher, and what nanocheck says to it."""

from __future__ import annotations

import sys


def torchrun(world: int) -> tuple[str, ...]:
    return (sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={world}")


def machine(world: int, ranks: str) -> dict[str, str]:
    cards = ",".join(map(str, range(world)))
    return {"NANOCHECK_CARDS": str(world), "CUDA_VISIBLE_DEVICES": cards, "NANOCHECK_RUN_RANKS": ranks}
