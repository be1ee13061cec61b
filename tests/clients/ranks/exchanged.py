"""Object lists, DTensors, checkpoints and gloo, as two or more ranks exchange them beside their gradients.

It knows nothing of nanocheck. ``torchrun --standalone --nproc_per_node=2 exchanged.py CHECKPOINT_FOLDER``
"""

import os
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor
from torch.nn.parallel import DistributedDataParallel

torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
dist.init_process_group("cpu:gloo,cuda:nccl")
rank, world = dist.get_rank(), dist.get_world_size()
last = world - 1


def say(what):
    sys.stdout.write(f"{what} {rank}\n")  # in one piece: the ranks share a terminal


said = [f"from {rank}", None] if rank == 0 else [None, None]
dist.broadcast_object_list(said, src=0)
assert said == ["from 0", None], said
gathered = [None] * world
dist.all_gather_object(gathered, {"rank": rank, "name": "x" * 700 * rank})
assert [each["rank"] for each in gathered] == list(range(world))
assert [len(each["name"]) for each in gathered] == [700 * each for each in range(world)]
if rank == 0:
    dist.send_object_list(["a", 1.5], dst=last)
if rank == last:
    received = [None, None]
    dist.recv_object_list(received, src=0)
    assert received == ["a", 1.5], received
collected = [None] * world if rank == 0 else None
dist.gather_object(rank * 10, collected, dst=0)
assert rank or collected == [10 * each for each in range(world)], collected
dist.monitored_barrier(group=dist.new_group(backend="gloo"))
host = torch.tensor([rank + 1.0])
dist.all_reduce(host)  # gloo
assert host.item() == world * (world + 1) / 2
say("objects")

mesh = init_device_mesh("cuda", (world,))
whole = torch.arange(8 * world).reshape(2 * world, 4).cuda()
sharded = distribute_tensor(whole, mesh, [Shard(0)])
assert sharded.to_local().tolist() == whole.tolist()[2 * rank : 2 * rank + 2]
assert sharded.full_tensor().tolist() == whole.tolist()
assert sharded.redistribute(mesh, [Replicate()]).to_local().tolist() == whole.tolist()
say("tensors")

model = DistributedDataParallel(nn.Linear(8, 8).cuda(), device_ids=[rank])
model(torch.randn(2, 8, device="cuda")).sum().backward()
shards = nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8)).cuda()
for each in (*shards, shards):
    fully_shard(each, mesh=mesh)
shards(torch.randn(2, 8, device="cuda")).sum().backward()
state = {"model": shards.state_dict(), "step": torch.tensor([7]), "whole": sharded}
checkpoint.save(state, checkpoint_id=sys.argv[1])
state["step"] = torch.tensor([0])
state["whole"] = distribute_tensor(torch.zeros_like(whole), mesh, [Shard(0)])
checkpoint.load(state, checkpoint_id=sys.argv[1])
assert state["step"].item() == 7
assert state["whole"].to_local().tolist() == whole.tolist()[2 * rank : 2 * rank + 2]
say("checkpoint")
dist.barrier()
dist.destroy_process_group()
say("done")
