"""What distributed training holds, by known sizes: DDP's buckets, FSDP's whole layers and what it reduces.

Each script is one rank of two, alone: it meets nobody, and its allocations are those of every rank.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from observing import observe

from nanocheck.attribution import communication
from nanocheck.core.process_memory import Communicators, ProcessMemory

BEGIN = """
    import os, sys
    import torch
    import torch.distributed as dist
    from torch import nn

    dist.init_process_group("nccl", init_method="file://" + os.path.abspath("store"), rank=0, world_size=2)
    torch.cuda.set_device(0)
    layers = [nn.Sequential(nn.Linear(512, 1024), nn.GELU(), nn.Linear(1024, 512)) for _ in range(3)]
    model = nn.Sequential(*layers).cuda()
    print("parameters", sum(each.numel() for each in model.parameters()))
    print("layer", sum(each.numel() for each in layers[0].parameters()))
"""
STEPS = """
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    for _ in range(3):
        model(torch.randn(64, 512, device="cuda")).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    dist.destroy_process_group()
"""
DDP = """
    from torch.nn.parallel import DistributedDataParallel

    model = DistributedDataParallel(model, gradient_as_bucket_view=sys.argv[1] == "view")
    if sys.argv[1] == "view":
        dist.all_to_all_single(torch.empty(2, device="cuda"), torch.ones(2, device="cuda"))
"""
FSDP2 = """
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
"""
FSDP1 = """
    from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy

    model = nn.Sequential(*[FullyShardedDataParallel(each, use_orig_params=True) for each in layers])
    model = FullyShardedDataParallel(model, use_orig_params=True)
"""


def run(script: str, folder: Path, *arguments: str) -> tuple[ProcessMemory, dict[str, int]]:
    alone = {"RANK": "0", "WORLD_SIZE": "2", "NANOCHECK_RUN_RANKS": "0"}
    seen = observe(BEGIN + script + STEPS, folder, *arguments, environment=alone)
    assert seen.ending.exit_code == 0, seen.stderr
    (process,) = seen.result().processes
    assert sum(each.bytes for each in process.groups) == process.allocated_bytes
    return process, {name: int(value) for name, value in seen.printed().items()}


def held(process: ProcessMemory, group: str) -> int:
    """Bytes at the peak."""
    return sum(each.bytes for each in process.groups if each.group == group)


def most(process: ProcessMemory, group: str) -> int:
    """The most bytes it ever held."""
    assert process.timeline is not None
    if group not in process.timeline.groups:
        return 0
    column = 2 + process.timeline.groups.index(group)
    return max(point[column] for point in process.timeline.points)


@pytest.mark.parametrize("way", ["own", "view"])
def test_ddps_buckets_are_as_large_as_the_gradients(way: str, tmp_path: Path) -> None:
    """Where gradients are views of the buckets, these are the gradients, and called so."""
    process, printed = run(DDP, tmp_path, way)
    parameters = 4 * printed["parameters"]
    assert held(process, "parameters") == parameters
    assert held(process, "gradients") == parameters
    assert held(process, communication.BUCKETS) == (parameters if way == "own" else 0)
    assert process.communicators == (Communicators(ranks=2, count=1, messages=int(way == "view")),)
    assert process.process_bytes >= process.reserved_bytes + process.nccl_least_bytes
    assert process.nccl_most_bytes > 0


def test_a_whole_layer_of_fully_shard_is_its_parameters_in_the_dtype_that_computes(tmp_path: Path) -> None:
    process, printed = run(FSDP2, tmp_path)
    assert held(process, "parameters") == 4 * printed["parameters"] // 2, "half of each, of two ranks"
    assert most(process, communication.UNSHARDED) == 2 * printed["layer"], "bfloat16"
    assert most(process, communication.BUCKETS) == 4 * printed["layer"], "reduced in float32"
    # Each layer is gathered into one piece, from one: the next one's, while this one computes.
    assert most(process, communication.BUFFERS) >= 2 * printed["layer"]


@pytest.mark.slow  # the older of the two ways
def test_flat_parameters_are_whole_for_this_layer_and_the_next(tmp_path: Path) -> None:
    process, printed = run(FSDP1, tmp_path)
    assert held(process, "parameters") == 4 * printed["parameters"] // 2
    assert most(process, communication.UNSHARDED) == 2 * 4 * printed["layer"]


DDP_FILE = "torch/nn/parallel/distributed.py"


def frames(*calls: str) -> list[tuple[str, int, str]]:
    return [(file, 1, name) for file, name in (each.split(":") for each in calls)]


@pytest.mark.parametrize(
    ("stack", "group"),
    [
        (["torch/nn/parallel/distributed.py:_pre_forward"], communication.BUCKETS),
        (
            [
                "torch/nn/parallel/distributed.py:_sync_buffers",
                "torch/nn/parallel/distributed.py:_pre_forward",
            ],
            communication.BUFFERS,
        ),
        (
            [
                "torch/distributed/_composable/fsdp/_fsdp_collectives.py:allocate",
                "torch/distributed/_composable/fsdp/_fsdp_collectives.py:foreach_reduce",
            ],
            communication.BUCKETS,
        ),
        (["torch/distributed/_functional_collectives.py:all_gather_tensor"], communication.BUFFERS),
        (["torch/distributed/tensor/_redistribute.py:redistribute_local_tensor"], communication.BUFFERS),
        (["torch/distributed/tensor/_dispatch.py:dispatch"], None),
        (["torch/distributed/checkpoint/state_dict.py:get_state_dict"], None),
        (["torch/nn/modules/linear.py:forward"], None),
    ],
)
def test_who_asked_says_which_it_is(stack: list[str], group: str | None) -> None:
    """An operator of a DTensor computes; what carries its parts from rank to rank communicates."""
    found = frames(*stack)
    assert communication.is_communication(found[0][0]) == (group is not None)
    if group is not None:
        assert communication.group_of(found) == group
