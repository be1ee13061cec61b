"""A small compiled model on each rank, and how often Inductor found what was generated before.

It knows nothing of nanocheck. ``torchrun --nproc_per_node=2 compiled.py``
"""

import os

import torch
import torch.distributed as dist
from torch import nn
from torch._dynamo.utils import counters

dist.init_process_group("nccl")
rank = int(os.environ["LOCAL_RANK"])
torch.cuda.set_device(rank)
model = nn.Sequential(nn.LayerNorm(64), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10)).cuda()
compiled = torch.compile(model)
for _ in range(3):
    compiled(torch.randn(16, 64, device="cuda")).sum().backward()
found = counters["inductor"]["fxgraph_cache_hit"]
figures = (torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved())
os.write(1, f"rank {rank} found {found} holds {figures}\n".encode())
dist.barrier()
dist.destroy_process_group()
