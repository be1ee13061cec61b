"""A sharded model saved and loaded by ``torch.distributed.checkpoint``.

It knows nothing of nanocheck. ``torchrun --nproc_per_node=2 checkpoint.py FOLDER``
"""

import os
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
from torch import nn
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.fsdp import fully_shard

dist.init_process_group("cpu:gloo,cuda:nccl")
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
model = nn.Sequential(nn.Linear(256, 512), nn.Linear(512, 256)).cuda()
fully_shard(model)
optimizer = torch.optim.AdamW(model.parameters())
for step in range(2):
    model(torch.randn(8, 256, device="cuda")).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    of_model, of_optimizer = get_state_dict(model, optimizer)
    state = {"model": of_model, "optimizer": of_optimizer}
    checkpoint.save(state, checkpoint_id=f"{sys.argv[1]}/{step}")
    checkpoint.load(state, checkpoint_id=f"{sys.argv[1]}/{step}")
    set_state_dict(model, optimizer, model_state_dict=of_model, optim_state_dict=of_optimizer)
    figures = (torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved())
    os.write(1, f"rank {dist.get_rank()} checkpoint {step} {figures}\n".encode())
dist.destroy_process_group()
