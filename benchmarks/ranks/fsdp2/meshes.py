"""Experts that are sharded over other ranks than the rest of their block, wrapped in both ways there are.

``nested``: ``fully_shard`` on the experts, then on the block. ``groups``: one call for the block, which says
the mesh of each parameter (since torch 2.12). It prints what a step's backward pass takes beyond what was
there before it, as JSON. Weights are bfloat16, gradients are reduced in float32.

It knows nothing of nanocheck. ``torchrun --standalone --nproc_per_node=8 meshes.py [--layers 4 8]``
"""

import argparse
import gc
import json
import os
from typing import Any

import torch
import torch.distributed as dist
from backward_steps import WIDTH, backward_overheads
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard


class Block(nn.Module):
    """Two matrices that every token meets, and larger ones in the experts' place."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False))
        self.experts = nn.Sequential(
            nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.experts(self.dense(inputs))


def shard(model: nn.Sequential, wrapping: str) -> None:
    options: dict[str, Any] = {
        "mesh": world,
        "mp_policy": MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32),
    }
    for block in model:
        if wrapping == "groups":
            experts = set(block.experts.parameters())
            elsewhere = ShardPlacementResult(None, FSDPMeshInfo(halves["shards"], shard_mesh_dim=0))
            fully_shard(
                block,
                shard_placement_fn=lambda each, e=experts, m=elsewhere: m if each in e else None,
                **options,
            )
        else:
            fully_shard(block.experts, **options | {"mesh": halves["shards"]})
            fully_shard(block, **options)
    fully_shard(model, **options)


def overheads(wrapping: str, layers: int) -> list[int]:
    """Bytes that each step's backward pass took at most, beyond weights and inputs."""
    gc.collect()  # of the model before
    with torch.device("cuda"):
        model = nn.Sequential(*(Block() for _ in range(layers))).to(torch.bfloat16)
    shard(model, wrapping)
    return backward_overheads(model)


parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int, nargs="+", default=[4, 8])
options = parser.parse_args()

wrappings = ["nested"]
try:
    from torch.distributed.fsdp._fully_shard._fsdp_common import FSDPMeshInfo, ShardPlacementResult

    wrappings.append("groups")
except ImportError:
    pass

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
world = init_device_mesh("cuda", (dist.get_world_size(),))
halves = init_device_mesh("cuda", (2, dist.get_world_size() // 2), mesh_dim_names=("copies", "shards"))
for wrapping in wrappings:
    for layers in options.layers:
        result = {"mesh": wrapping, "layers": layers, "overhead_bytes": overheads(wrapping, layers)}
        print(json.dumps(result), flush=True)
print("peak", torch.cuda.max_memory_allocated())
dist.destroy_process_group()
