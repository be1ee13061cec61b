"""Symmetric memory: of ranks that all run it is on the card of each; of others it is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import observe

SCRIPT = """
    import os, torch
    import torch.distributed as dist
    import torch.distributed._symmetric_memory as symmetric

    dist.init_process_group("nccl")
    rank, name = dist.get_rank(), dist.group.WORLD.group_name
    torch.cuda.set_device(rank)
    torch.zeros(1, device="cuda")
    before = torch.cuda.mem_get_info()[0]
    mine = symmetric.empty(1 << 20, device=f"cuda:{rank}", dtype=torch.float32)
    taken = before - torch.cuda.mem_get_info()[0]
    symmetric.rendezvous(mine, name)
    torch.ops.symm_mem.one_shot_all_reduce(mine, "sum", name)
    print(f"taken-{rank}", taken)
"""
TORCHRUN = ("torchrun", "--standalone", "--nproc_per_node=2")


def test_with_ranks_that_are_left_out_it_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    alone = {"RANK": "0", "WORLD_SIZE": "2", "NANOCHECK_RUN_RANKS": "0"}
    alone |= {"MASTER_ADDR": "localhost", "MASTER_PORT": "0"}
    seen = observe(SCRIPT, tmp_path, gpu="2xh100", steps=0, environment=alone)
    assert "RuntimeError: expected all ranks of symmetric memory, found that 1 of [0, 1]" in seen.stderr
    assert seen.ending.exit_code == 1


@pytest.mark.slow  # two processes of torch; tests/virtual/test_shared_handles.py has the calls
def test_each_rank_has_its_own_part_on_its_own_card_and_maps_the_others(tmp_path: Path) -> None:
    seen = observe(SCRIPT, tmp_path, gpu="2xh100", steps=0, launcher=TORCHRUN)
    printed = {name: int(value) for name, value in seen.printed().items()}
    assert printed.keys() == {"taken-0", "taken-1"}, seen.stderr
    assert all(4 << 20 <= each <= 8 << 20 for each in printed.values())
    first, second = seen.result().processes
    beside = [each.process_bytes - each.reserved_bytes for each in (first, second)]
    assert beside[0] == beside[1] >= seen.target.device.context_bytes + (4 << 20)
