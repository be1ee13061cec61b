"""A rank for whose NCCL the card has no room: an out-of-memory that PyTorch's allocator knows nothing of."""

from __future__ import annotations

from pathlib import Path

from observing import observe

from nanocheck.core.process_memory import Communicators
from nanocheck.core.result import Outcome
from nanocheck.core.units import MIB
from nanocheck.core.verdict import Kind

#: Rank 0 of eight, alone: a second communicator finds 100 MiB, and needs 192.
FULL = """
    import os, torch
    import torch.distributed as dist
    dist.init_process_group("nccl", init_method="file://" + os.path.abspath("store"), rank=0, world_size=8)
    torch.cuda.set_device(0)
    small = torch.ones(1, device="cuda")
    before = torch.cuda.mem_get_info()[0]
    dist.all_reduce(small)
    print("taken", before - torch.cuda.mem_get_info()[0])
    second = dist.new_group(list(range(8)))
    kept = torch.empty(torch.cuda.mem_get_info()[0] - (100 << 20), dtype=torch.uint8, device="cuda")
    print("free", torch.cuda.mem_get_info()[0])
    dist.all_reduce(small, group=second)
"""


def test_nccl_without_room_for_its_buffers_is_out_of_memory_where_it_was_needed(tmp_path: Path) -> None:
    alone = {"RANK": "0", "WORLD_SIZE": "8", "NANOCHECK_RUN_RANKS": "0"}
    seen = observe(FULL, tmp_path, gpu="h100", steps=0, environment=alone)
    printed = seen.printed()
    assert int(printed["taken"]) == 192 * MIB
    assert "Cuda failure 2 'out of memory'" in seen.stderr
    result = seen.result()
    assert result.outcome is Outcome.OOM
    assert result.oom is not None
    assert (result.oom.by, result.oom.requested_bytes, result.oom.exact) == ("NCCL", 192 * MIB, True)
    assert result.oom.free_bytes == int(printed["free"])
    assert result.oom.line == "dist.all_reduce(small, group=second)"
    assert not result.oom.caught
    assert result.main.communicators == (Communicators(ranks=8, count=1),), "the second never was one"
    assert result.main.process_bytes == seen.target.device.capacity_bytes - int(printed["free"])
    verdict = seen.judged().verdict
    assert verdict.kind is Kind.OOM
    assert "192.00 MiB for NCCL itself at " in verdict.sentence
