"""gloo between ranks that run, where others are left out: by old PyTorch as by new."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from observing import observe
from some_ranks import machine, torchrun

EXCHANGED = """
import os, sys, torch
from nanocheck.observe.distributed import host_group
if os.environ.get("OLD"): host_group._kind = lambda: None
import torch.distributed as dist
rank = int(os.environ["RANK"])
dist.init_process_group("gloo")
group = dist.new_group(backend="gloo")
objects, one, mine = [None] * 3, [{"from": rank}], [None]
dist.all_gather_object(objects, rank, group=group)
dist.broadcast_object_list(one, src=2)
dist.scatter_object_list(mine, ["for 0", "for 1", "for 2"] if rank == 2 else None, src=2, group=group)
total, whole, got = torch.full((3,), rank + 1), torch.zeros(3), torch.zeros(4)
dist.all_reduce(total)
dist.all_to_all_single(whole, torch.arange(3.0) + 10 * rank)
dist.broadcast(torch.ones(2, device="cpu"), src=0)
if rank == 0: dist.send(torch.arange(4.0), 2)
else: dist.recv(got, 0)
dist.isend(torch.ones(1), 2 - rank).wait() if rank else dist.irecv(torch.zeros(1), 2).wait()
gathered = [torch.zeros(1) for _ in range(3)] if rank == 0 else None
dist.gather(torch.full((1,), rank + 5.0), gathered, dst=0)
dist.monitored_barrier(group)
torch.zeros(1, device="cuda")
found = objects, one, mine, total.tolist(), whole.tolist(), got.tolist(), gathered
sys.stdout.write(f"rank {rank} {found}\\n")  # in one piece, beside the other rank's
"""


@pytest.mark.slow  # test_absent_ranks, its test_stores_groups...: a rank alone, by both ways
def test_ranks_that_run_exchange_over_gloo_by_old_and_new_pytorch_alike(tmp_path: Path) -> None:
    said = []
    for old in ("", "1"):
        folder = tmp_path / f"old{old}"
        folder.mkdir()
        script = folder / "exchanged.py"
        script.write_text(EXCHANGED)
        variables = machine(3, "0,2") | {"OLD": old}
        seen = observe(script, folder, steps=0, launcher=torchrun(3), environment=variables)
        assert seen.ending.exit_code == 0, seen.stderr[-3000:]
        said.append(sorted(re.findall("^rank .*$", seen.stdout, re.MULTILINE)))
    assert len(said[0]) == 2
    assert said[0] == said[1]
    assert "[0, 2, 2], [{'from': 2}], ['for 2'], [7, 7, 7]" in said[0][1]
