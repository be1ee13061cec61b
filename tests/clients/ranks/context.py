"""Context parallelism: attention over a sequence of which every rank has a part.

It knows nothing of nanocheck. ``torchrun --nproc_per_node=2 context.py``
"""

import os

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.experimental import context_parallel
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

dist.init_process_group("nccl")
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
mesh = init_device_mesh("cuda", (dist.get_world_size(),), mesh_dim_names=("context",))
for step in range(2):
    parts = [torch.randn(1, 4, 256, 64, device="cuda", dtype=torch.bfloat16) for _ in range(3)]
    with (
        context_parallel(mesh, buffers=parts, buffer_seq_dims=[2] * 3, no_restore_buffers=set(parts)),
        sdpa_kernel([SDPBackend.FLASH_ATTENTION]),
    ):
        for part in parts:
            part.requires_grad = True
        scaled_dot_product_attention(*parts, is_causal=True).sum().backward()
    figures = (torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved())
    os.write(1, f"rank {dist.get_rank()} context {step} {figures}\n".encode())
dist.destroy_process_group()
