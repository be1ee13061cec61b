"""Hybrid sharding (``fully_shard`` on a mesh of replicas x shards) beside plain sharding over as many shards.

Weights are bfloat16 and reduced in float32, so each layer's reduced gradient is a copy of its own. It prints
what a backward pass needs beyond what was there before it, for each number of layers and each step, as JSON.

It knows nothing of nanocheck. ``torchrun --standalone --nproc_per_node=8 hybrid.py [--layers 4 8]``
"""

import argparse
import gc
import json
import os

import torch
import torch.distributed as dist
from backward_steps import WIDTH, backward_overheads
from torch import nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

REPLICAS = 2


def block() -> nn.Module:
    return nn.Sequential(
        nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH, bias=False)
    )


def overheads(mesh: DeviceMesh, layers: int) -> list[int]:
    """Bytes that each step's backward pass took at most, beyond weights and inputs."""
    gc.collect()  # of the model before
    with torch.device("cuda"):
        model = nn.Sequential(*(block() for _ in range(layers))).to(torch.bfloat16)
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in [*model, model]:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    return backward_overheads(model)


parser = argparse.ArgumentParser()
parser.add_argument("--layers", type=int, nargs="+", default=[4, 8])
options = parser.parse_args()

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("nccl")
hybrid = init_device_mesh(
    "cuda", (REPLICAS, dist.get_world_size() // REPLICAS), mesh_dim_names=("replicas", "shards")
)
for name, mesh in (("sharded", hybrid["shards"]), ("hybrid", hybrid)):
    for layers in options.layers:
        result = {"mesh": name, "layers": layers, "overhead_bytes": overheads(mesh, layers)}
        print(json.dumps(result), flush=True)
print("peak", torch.cuda.max_memory_allocated())
dist.destroy_process_group()
