"""A small model trained in the ways that several GPUs are used; what each phase left is printed.

It knows nothing of nanocheck. ``torchrun --nproc_per_node=2 methods.py ddp fsdp2 zero1``
"""

import os
import sys
from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook
from torch.distributed.algorithms.join import Join
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, ShardingStrategy, fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.distributed.tensor.parallel.ddp import _pre_dp_module_transform
from torch.nn.parallel import DistributedDataParallel

WIDTH = 384  # of no power of two, so that shards need padding
Made = tuple[nn.Module, torch.optim.Optimizer]


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)
        self.unsplit = nn.LayerNorm(WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(self.unsplit(x))))


def model() -> nn.Sequential:
    return nn.Sequential(*(Block() for _ in range(3)), nn.Linear(WIDTH, 127)).cuda()


def adamw(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=1e-3)


def ddp(**options: object) -> Made:
    wrapped = DistributedDataParallel(
        model(), device_ids=[torch.cuda.current_device()], bucket_cap_mb=1, **options
    )
    return wrapped, adamw(wrapped.parameters())


def hooked(state: object, hook: Callable[..., object]) -> Made:
    wrapped, optimizer = ddp()
    wrapped.register_comm_hook(state, hook)
    return wrapped, optimizer


def zero1() -> Made:
    wrapped, _ = ddp()
    return wrapped, ZeroRedundancyOptimizer(wrapped.parameters(), torch.optim.AdamW, lr=1e-3)


def fsdp2(sharded: nn.Sequential, mesh: object = None) -> Made:
    for block in sharded[:-1]:
        fully_shard(block, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    return sharded, adamw(sharded.parameters())


def tensor_parallel() -> tuple[nn.Sequential, object]:
    mesh = init_device_mesh("cuda", (dist.get_world_size() // 2, 2), mesh_dim_names=("data", "tensor"))
    whole = model()
    for block in whole[:-1]:
        parallelize_module(block, mesh["tensor"], {"up": ColwiseParallel(), "down": RowwiseParallel()})
    return whole, mesh["data"]


def tensor_parallel_ddp() -> Made:
    """DDP over the replicas of a tensor parallel model: it reduces each rank's own parts."""
    split, data = tensor_parallel()
    _pre_dp_module_transform(split)
    wrapped = DistributedDataParallel(split, process_group=data.get_group(), bucket_cap_mb=1)
    return wrapped, adamw(wrapped.parameters())


def hybrid(wrap: Callable[[nn.Sequential, object], Made]) -> Made:
    """Sharded by two, and replicated."""
    mesh = init_device_mesh("cuda", (dist.get_world_size() // 2, 2), mesh_dim_names=("replicas", "shards"))
    return wrap(model(), mesh)


def hsdp1(whole: nn.Sequential, mesh: object) -> Made:
    wrapped = FullyShardedDataParallel(
        whole,
        device_mesh=mesh,
        sharding_strategy=ShardingStrategy.HYBRID_SHARD,
        device_id=torch.cuda.current_device(),
    )
    return wrapped, adamw(wrapped.parameters())


def fsdp1() -> Made:
    wrapped = FullyShardedDataParallel(model(), device_id=torch.cuda.current_device())
    return wrapped, adamw(wrapped.parameters())


METHODS: dict[str, Callable[[], Made]] = {
    "ddp": ddp,
    "zero1": zero1,
    "fsdp2": lambda: fsdp2(model()),
    "tp_fsdp2": lambda: fsdp2(*tensor_parallel()),
    "tp_ddp": tensor_parallel_ddp,
    "hsdp2": lambda: hybrid(fsdp2),
    "hsdp1": lambda: hybrid(hsdp1),
    "fsdp1": fsdp1,
    "bucket_view": lambda: ddp(gradient_as_bucket_view=True),
    "static_graph": lambda: ddp(static_graph=True),
    "no_sync": ddp,
    "join": ddp,
    "bf16_hook": lambda: hooked(None, default_hooks.bf16_compress_hook),
    "power_sgd": lambda: hooked(
        powerSGD_hook.PowerSGDState(None, matrix_approximation_rank=2, start_powerSGD_iter=2),
        powerSGD_hook.powerSGD_hook,
    ),
}


def tell(method: str, step: int, phase: str) -> None:
    """A line at once: the other ranks write, too."""
    figures = (torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated(), torch.cuda.memory_reserved())
    os.write(1, f"rank {dist.get_rank()} {method} {step} {phase} {figures}\n".encode())
    torch.cuda.reset_peak_memory_stats()


def train(method: str) -> None:
    trained, optimizer = METHODS[method]()
    tell(method, 0, "made")
    for step in range(3):
        if method == "join":
            with Join([trained]):
                trained(torch.randn(8, WIDTH, device="cuda")).sum().backward()
        elif method == "no_sync":
            with trained.no_sync():
                trained(torch.randn(8, WIDTH, device="cuda")).sum().backward()
        loss = trained(torch.randn(8, WIDTH, device="cuda")).sum()
        tell(method, step, "forward")
        loss.backward()
        tell(method, step, "backward")
        optimizer.step()
        optimizer.zero_grad()
        tell(method, step, "optimizer")


dist.init_process_group("nccl")
torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
for each in sys.argv[1:]:
    train(each)
    torch.cuda.empty_cache()
dist.barrier()
dist.destroy_process_group()
