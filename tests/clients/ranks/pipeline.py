"""Two stages of a pipeline, one forward one backward; what each step left is printed by each stage.

It knows nothing of nanocheck. ``torchrun --nproc_per_node=2 pipeline.py``
"""

import os

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.pipelining import PipelineStage, Schedule1F1B

WIDTH, MICROBATCHES = 256, 4
dist.init_process_group("nccl")
rank, world = dist.get_rank(), dist.get_world_size()
device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
torch.cuda.set_device(device)
# The last stage has a head, too: stages need not be equal.
layers = [nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU()) for _ in range(2)]
if rank == world - 1:
    layers.append(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.LayerNorm(WIDTH)))
part = nn.Sequential(*layers).to(device)
example = torch.zeros(16 // MICROBATCHES, WIDTH, device=device)
between = torch.zeros_like(example, requires_grad=True)  # gradients come back for what is sent
took = example if rank == 0 else between
stage = PipelineStage(part, rank, world, device, input_args=(took,), output_args=(between,))
schedule = Schedule1F1B(stage, MICROBATCHES, loss_fn=nn.functional.mse_loss)
optimizer = torch.optim.AdamW(part.parameters())
for step in range(3):
    if rank == 0:
        schedule.step(torch.randn(16, WIDTH, device=device))
    elif rank == world - 1:
        schedule.step(target=torch.randn(16, WIDTH, device=device), losses=[])
    else:
        schedule.step()
    optimizer.step()
    optimizer.zero_grad()
    figures = (torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved())
    os.write(1, f"rank {rank} pipeline {step} {figures}\n".encode())
    torch.cuda.reset_peak_memory_stats()
dist.destroy_process_group()
