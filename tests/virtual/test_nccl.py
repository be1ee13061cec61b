"""PyTorch's own NCCL process group runs on the virtual GPU."""

from __future__ import annotations

from pathlib import Path

import pytest
from client_runs import TORCHRUN, printed, run_client

from nanocheck.core.units import MIB


def test_one_process_exchanges_true_values_with_itself(tmp_path: Path) -> None:
    found = printed(run_client("collectives.py", str(tmp_path / "store")))
    assert found["completed"] == "True"
    assert found["collectives"] == "11"
    assert found["objects"] == "2"
    assert found["done"] == "False"


@pytest.mark.slow  # test_client_programs.py runs the same script under torchrun
def test_ddp_under_torchrun() -> None:
    found = printed(run_client("ddp.py", "--steps", "4", launcher=TORCHRUN))
    assert found["done"] == "4"
    # Weights, gradients, two moments, DDP's buckets and one temporary of AdamW; two workspaces of cuBLAS.
    parameters = int(found["parameters"])
    assert 5 * parameters <= int(found["peak"]) < 6 * parameters + 24 * MIB


def test_fsdp_under_torchrun() -> None:
    assert printed(run_client("fsdp.py", launcher=TORCHRUN))["done"] == "3"


@pytest.mark.parametrize("pause", ["0", "0.15"])
def test_tensors_of_asynchronous_work_live_until_the_next_steps_first_collective(
    pause: str, tmp_path: Path
) -> None:
    """PyTorch's own rule, and the same whether its watchdog wakes up within a step (``pause``) or not."""
    found = printed(run_client("async_collectives.py", str(tmp_path / "store"), pause))
    # Three tensors of 16 MiB a step: the fourth, of the next step, is made before its collective is issued.
    assert int(found["after"]) // MIB == 48
    assert int(found["peak"]) // MIB == 64


@pytest.mark.parametrize("behind", [1, 2])
def test_tensors_live_longer_where_steps_are_shorter_than_the_watchdogs_pause(
    behind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NANOCHECK_COLLECTIVES_BEHIND", str(behind))
    found = printed(run_client("async_collectives.py", str(tmp_path / "store"), "0"))
    # A step's three tensors more for each step, beside the one that is being made.
    assert int(found["peak"]) // MIB == 64 + 48 * behind


def test_a_process_group_of_two_knows_its_size_and_its_ranks(tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import os, torch, torch.distributed as dist\n"
        "dist.init_process_group('nccl')\n"
        "torch.cuda.set_device(int(os.environ['LOCAL_RANK']))\n"
        "mine = torch.full((2,), float(dist.get_rank()), device='cuda')\n"
        "parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]\n"
        "dist.all_gather(parts, mine)\n"
        "card, rank = torch.cuda.current_device(), dist.get_rank()\n"
        "print(f'rank {rank} has {card}', parts[rank].tolist())\n"
    )
    two = (*TORCHRUN[:-1], "--nproc_per_node=2")
    ran = run_client(str(script), launcher=two, cards=2)
    assert ran.returncode == 0, ran.stderr
    assert sorted(ran.stdout.splitlines()) == ["rank 0 has 0 [0.0, 0.0]", "rank 1 has 1 [1.0, 1.0]"]
