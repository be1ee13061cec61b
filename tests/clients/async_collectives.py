"""Gradients averaged asynchronously, three a step, as nanochat does it: nobody calls ``Work.wait``.

It knows nothing of nanocheck. ``python async_collectives.py STORE_FILE SECONDS_BETWEEN_COLLECTIVES``
"""

import sys
import time

import torch
import torch.distributed as dist

dist.init_process_group("nccl", init_method=f"file://{sys.argv[1]}", rank=0, world_size=1)
for _ in range(6):
    for _ in range(3):
        gradient = torch.empty(4 * 2**20, device="cuda")
        dist.all_reduce(gradient, op=dist.ReduceOp.AVG, async_op=True).get_future().wait()
        del gradient
        time.sleep(float(sys.argv[2]))
    torch.cuda.synchronize()
print("after", torch.cuda.memory_allocated())
print("peak", torch.cuda.max_memory_allocated())
dist.destroy_process_group()
