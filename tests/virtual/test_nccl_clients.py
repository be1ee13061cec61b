"""Programs whose ranks exchange what they wrote, through PyTorch's own process groups."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from client_runs import environment_of
from paths import CLIENTS

TWO = ("torchrun", "--standalone", "--nproc_per_node=2")
PROGRAMS = str(Path(sys.executable).parent)


def test_objects_tensors_and_checkpoints_of_two_ranks(tmp_path: Path) -> None:
    """Object lists, DTensor, DDP's check, FSDP2, distributed checkpoints, and gloo beside NCCL."""
    report = tmp_path / "report.json"
    options = ("--gpu", "2xrtx4070", "--ranks", "all", "--json", str(report))
    program = (*TWO, str(CLIENTS / "ranks" / "exchanged.py"), str(tmp_path / "checkpoint"))
    ran = subprocess.run(
        [sys.executable, "-m", "nanocheck", "run", *options, "--", *program],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}"},
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    for part in ("objects", "tensors", "checkpoint", "done"):
        assert {f"{part} 0", f"{part} 1"} <= set(ran.stdout.splitlines())
    first, second = json.loads(report.read_text())["result"]["processes"]
    assert first["allocated_bytes"] == second["allocated_bytes"]


def test_pytorch_says_which_rank_has_ended(tmp_path: Path) -> None:
    """Its error shows the script's line and our words, and the process ends by itself."""
    script = tmp_path / "ends.py"
    script.write_text(
        "import os, sys, torch, torch.distributed as dist\n"
        "rank = int(os.environ['RANK'])\n"
        f"dist.init_process_group('nccl', init_method='file://{tmp_path}/store', rank=rank, world_size=2)\n"
        "torch.cuda.set_device(rank)\n"
        "dist.all_reduce(one := torch.ones(1, device='cuda'))\n"
        "print(one.item(), flush=True)\n"
        "if rank == 1: sys.exit()\n"
        "dist.all_reduce(one)\n"
    )
    machine = tmp_path / "machine"
    machine.mkdir()
    base = environment_of("rtx4070") | {
        "NANOCHECK_CARDS": "2",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "NANOCHECK_MACHINE": str(machine),
        "WORLD_SIZE": "2",
    }
    started = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env=base | {"RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    (said, error), (_, other) = (each.communicate(timeout=120) for each in started)
    assert (said, started[0].returncode, started[1].returncode) == ("2.0\n", 1, 0), error + other
    assert "DistBackendError" in error
    assert "rank 1 ended before collective 2 (AllReduce of 1 float32, sum) of a group of 2" in error
    assert "dist.all_reduce(one)" in error
