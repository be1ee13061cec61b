"""Ranks by whatever started them: of four the first and the last run, and hold what they do among all."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from unittest import mock

import pytest
from observing import observe
from paths import CLIENTS

from nanocheck.observe import absent_ranks

CLIENT = CLIENTS / "ranks/launched.py"
WORLD = 4
#: As ``srun`` and ``mpirun`` start tasks on one node.
SRUN = (
    "for each in 0 1 2 3; do SLURM_PROCID=$each SLURM_LOCALID=$each SLURM_NTASKS=4 SLURM_NTASKS_PER_NODE=4 "
    'SLURM_JOB_ID=7 SLURM_NODEID=0 SLURM_JOB_NODELIST=localhost "$@" & done; wait'
)
MPIRUN = (
    "for each in 0 1 2 3; do OMPI_COMM_WORLD_RANK=$each OMPI_COMM_WORLD_LOCAL_RANK=$each "
    'OMPI_COMM_WORLD_SIZE=4 "$@" & done; wait'
)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=4")
ACCELERATE = (sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes=4")


def shell(script: str) -> tuple[str, ...]:
    return ("bash", "-c", script, "-", sys.executable)


def test_a_world_of_one_leaves_what_was_asked_for_to_those_it_spawns(tmp_path: Path) -> None:
    """Under a launcher of nodes: ``RANK=0 WORLD_SIZE=1``, and the ranks are the children's."""
    asked = {absent_ranks.VARIABLE: absent_ranks.ENDS}
    with mock.patch.dict(os.environ, asked), mock.patch.object(absent_ranks, "_settled", None):
        absent_ranks.settle(0, 1, str(tmp_path))
        assert os.environ[absent_ranks.VARIABLE] == absent_ranks.ENDS
        absent_ranks.settle(WORLD - 1, WORLD, str(tmp_path))
        assert os.environ[absent_ranks.VARIABLE] == f"0,{WORLD - 1}"


@pytest.mark.slow  # the test above; what ranks say of themselves: test_nccl_communicators.py
@pytest.mark.parametrize(
    ("way", "launcher", "variables"),
    [
        ("told", shell(SRUN), {}),
        ("told", shell(MPIRUN), {}),
        ("spawned", (), {"RANK": "0", "WORLD_SIZE": "1"}),
        ("lightning", (), {}),
        ("lightning", shell(SRUN), {}),
        ("accelerate", ACCELERATE, {}),
        ("trainer", TORCHRUN, {}),
    ],
)
def test_every_launchers_ranks(
    way: str, launcher: tuple[str, ...], variables: dict[str, str], tmp_path: Path
) -> None:
    if way in ("lightning", "accelerate"):
        pytest.importorskip(way)
    if way == "trainer":
        pytest.importorskip("transformers")
    told = {}
    for ranks in (absent_ranks.ENDS, absent_ranks.ALL):
        (own := tmp_path / ranks).mkdir()
        seen = observe(
            CLIENT,
            own,
            *(way, str(own)),
            gpu=f"{WORLD}xrtx4070",
            steps=0,
            ranks=ranks,
            launcher=launcher,
            environment=variables,
        )
        lines = re.findall(rf"^rank (\d) of {WORLD}: (\d+)$", seen.stdout, re.MULTILINE)
        told[ranks] = {int(rank): int(peak) for rank, peak in lines}
        result = seen.result()
        assert sorted(told[ranks]) == sorted(each.rank for each in result.processes), seen.stderr[-3000:]
        assert result.world == WORLD
    assert sorted(told[absent_ranks.ENDS]) == [0, WORLD - 1]
    assert sorted(told[absent_ranks.ALL]) == list(range(WORLD))
    assert told[absent_ranks.ENDS].items() <= told[absent_ranks.ALL].items()
