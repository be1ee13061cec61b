"""A growth that was found on real cards, by rank 0 of eight: hybrid sharding keeps a buffer a layer."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest
from paths import ROOT

from nanocheck.virtual.installed_torch import find_torch

_FOLDER = ROOT / "benchmarks/ranks/fsdp2"
_LAUNCHER = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=8")
#: Parameters of a layer, and over how many ranks it is sharded.
_PARAMETERS, _SHARDS = 8 * 512 * 512, 4


def expected(program: str, torch: str) -> dict[tuple[str, int], int]:
    """What a program's last step was seen to need with this PyTorch, by mesh and layers."""
    with (_FOLDER / "expected.csv").open() as table:
        return {
            (row["mesh"], int(row["layers"])): int(row["overhead_bytes"])
            for row in csv.DictReader(table)
            if (row["program"], row["torch"].split("+")[0]) == (program, torch)
        }


def overheads(program: str) -> dict[tuple[str, int], list[int]]:
    """Bytes beyond those before it, of each step's backward pass on rank 0 of 8."""
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "nanocheck", "run", "--full", "--gpu", "8xh100", "--ranks", "0"),
            *("--", *_LAUNCHER, str(_FOLDER / f"{program}.py")),
        ],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-4000:]
    rows = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return {(row["mesh"], row["layers"]): row["overhead_bytes"] for row in rows}


def test_hybrid_sharding_keeps_each_layers_reduced_gradient_until_the_backward_pass_ends() -> None:
    """pytorch#179443: 34 MB a layer there; here a layer's shard in float32, and nothing from step to step."""
    found = overheads("hybrid")
    grows = {mesh: (found[mesh, 8][-1] - found[mesh, 4][-1]) / 4 for mesh in ("sharded", "hybrid")}
    shard = _PARAMETERS // _SHARDS
    assert grows["sharded"] == 2 * shard  # the gradient itself, in bfloat16
    assert grows["hybrid"] == 2 * shard + 4 * shard
    assert len({*found["hybrid", 8]}) == 1
    known = expected("hybrid", find_torch().version.split("+")[0])
    assert all(found[key][-1] == each for key, each in known.items())


@pytest.mark.slow  # beside it the other program of the folder always runs
def test_a_mesh_for_each_parameter_keeps_both_groups_inputs() -> None:
    """Since torch 2.12: more than wrapping twice, but not more with more layers."""
    found = overheads("meshes")
    more = [found["groups", layers][-1] - found["nested", layers][-1] for layers in (4, 8)]
    assert more[0] == more[1] > 4 * _PARAMETERS  # the experts' unsharded gradient, in float32
    known = expected("meshes", find_torch().version.split("+")[0])
    assert all(found[key][-1] == each for key, each in known.items())
