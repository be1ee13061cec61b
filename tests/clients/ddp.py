"""DistributedDataParallel under torchrun, as the tutorials have it.

It knows nothing of nanocheck. ``torchrun --standalone --nproc_per_node=1 ddp.py [--steps N]``
"""

import argparse
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=4)
options = parser.parse_args()

dist.init_process_group("nccl")
rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
model = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10))
plain = sum(parameter.numel() * 4 for parameter in model.parameters())
model = DistributedDataParallel(model.to(rank), device_ids=[rank])
data = TensorDataset(torch.randn(512, 256), torch.randint(0, 10, (512,)))
sampler = DistributedSampler(data)
loader = DataLoader(data, batch_size=32, sampler=sampler)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
taken = 0
while taken < options.steps:
    sampler.set_epoch(taken)
    for images, labels in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(images.to(rank)), labels.to(rank))
        loss.backward()
        optimizer.step()
        total = loss.detach().clone()
        dist.all_reduce(total, op=dist.ReduceOp.AVG)
        taken += 1
        if rank == 0:
            print(f"step {taken}: loss {total.item():.4f}")
        if taken == options.steps:
            break
dist.barrier()
print("parameters", plain)
print("peak", torch.cuda.max_memory_allocated())
dist.destroy_process_group()
print("done", taken)
