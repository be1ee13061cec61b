"""One process that is one rank of many after another, each time with methods that divide things among ranks.

It knows nothing of nanocheck, except that only the rank that is named last may be said to run.
What the card holds must be what PyTorch's own rules of division say, whatever the others are.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributed import _compute_bucket_assignment_by_size
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

MIB, BLOCK = 2**20, 512  # the allocator's smallest block
WORLDS, ENDS = st.integers(2, 64), st.sampled_from(["first", "last"])
FEW = settings(
    max_examples=10, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)


@contextmanager
def rank_of(rank: int, world: int) -> Iterator[None]:
    """The process group of a world in which only this one runs."""
    gc.collect()  # models of the time before
    os.environ["NANOCHECK_RUN_RANKS"] = str(rank)
    dist.init_process_group("nccl", store=dist.HashStore(), rank=rank, world_size=world)
    try:
        yield
    finally:
        torch.cuda.synchronize()  # else it waits for the watchdog to see collectives end
        dist.destroy_process_group()


def rounded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def place(end: str, world: int) -> int:
    return 0 if end == "first" else world - 1


@FEW
@given(WORLDS, ENDS, st.integers(1, 40), st.lists(st.integers(1, 700), min_size=1, max_size=6))
def buckets_are_those_that_pytorch_assigns(world: int, end: str, cap: int, widths: list[int]) -> None:
    with rank_of(place(end, world), world):
        model = nn.Sequential(*(nn.Linear(128, width) for width in widths)).cuda()
        parameters = list(model.parameters())
        limits = [MIB, cap * MIB // 8]  # DDP's own first one, and what was asked for
        indices, _ = _compute_bucket_assignment_by_size(parameters, limits, [False] * len(parameters))
        expected = sum(rounded(sum(parameters[i].numel() * 4 for i in each)) for each in indices)
        expected += rounded(len(parameters) * 4)  # which of them were used
        before = torch.cuda.memory_allocated()
        # Otherwise buckets are as large as the model until the first step has shown the gradients' order.
        options = {"find_unused_parameters": True, "bucket_cap_mb": cap / 8}
        wrapped = DistributedDataParallel(model, device_ids=[0], **options)
        assert torch.cuda.memory_allocated() - before == expected, (world, end, cap, widths)
        del wrapped


@settings(FEW, max_examples=4)
@given(WORLDS, st.lists(st.integers(1, 3), min_size=1, max_size=3))
def buckets_that_are_put_anew_are_those_of_rank_0(world: int, layers: list[int]) -> None:
    """After the first step each rank takes the order and the sizes of rank 0's."""
    held = {}
    for end in ("first", "last"):
        with rank_of(place(end, world), world):
            held[end] = [bytes_of_steps(each) for each in (1, *layers)]
    assert held["first"] == held["last"], (world, layers)


def bytes_of_steps(layers: int) -> tuple[int, int]:
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model = nn.Sequential(*(nn.Linear(512, 512) for _ in range(layers))).cuda()
    wrapped = DistributedDataParallel(model, device_ids=[0], bucket_cap_mb=1)
    for _ in range(3):
        wrapped(torch.zeros(4, 512, device="cuda")).sum().backward()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()


@FEW
@given(WORLDS, ENDS, st.integers(1, 300), st.integers(1, 5))
def a_shard_is_the_whole_divided_and_padded(world: int, end: str, rows: int, count: int) -> None:
    with rank_of(place(end, world), world):
        model = nn.Sequential(*(nn.Linear(64, rows, bias=False) for _ in range(count))).cuda()
        before = torch.cuda.memory_allocated()
        for each in model:
            fully_shard(each)
        fully_shard(model)
        after = torch.cuda.memory_allocated()
        padded = -(-rows // world)
        assert before - after == count * (rounded(rows * 64 * 4) - rounded(padded * 64 * 4)), (world, rows)
        # What all ranks hold together is the whole and less than one row for each rank.
        assert rows <= padded * world < rows + world


@settings(FEW, max_examples=3)
@given(st.integers(2, 4), st.lists(st.integers(1, 40), min_size=1, max_size=9))
def parts_of_the_optimizer_are_the_whole(world: int, widths: list[int]) -> None:
    held = 0
    for rank in range(world):
        with rank_of(rank, world):
            model = nn.Sequential(*(nn.Linear(128, width, bias=False) for width in widths)).cuda()
            optimizer = ZeroRedundancyOptimizer(model.parameters(), torch.optim.SGD, lr=0.1, momentum=0.9)
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            before = torch.cuda.memory_allocated()
            optimizer.step()
            held += torch.cuda.memory_allocated() - before
            del model, optimizer, parameter
    assert held == sum(width * 128 * 4 for width in widths), (world, widths)


gc.freeze()  # what is imported is no garbage
buckets_are_those_that_pytorch_assigns()
buckets_that_are_put_anew_are_those_of_rank_0()
a_shard_is_the_whole_divided_and_padded()
parts_of_the_optimizer_are_the_whole()
print("done")
