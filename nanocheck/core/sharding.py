"""What each of several ranks keeps of a training, by formula, and which needs most. Imports no torch.

Sources, torch 2.14: ``torch/distributed/fsdp/_fully_shard/_fsdp_param.py`` (chunks of dimension 0, each
padded to the first), ``torch/distributed/optim/zero_redundancy_optimizer.py`` (``_partition_parameters``),
``torch/nn/parallel/distributed.py`` (buckets beside the gradients, ``gradient_as_bucket_view=False``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nanocheck.core.errors import RequestError
from nanocheck.core.shapes import Shape, parameter_shapes
from nanocheck.core.step_fields import ADAMWS, StepFields

#: More train together nowhere by data parallelism alone; a collective of so many is still answered at once.
MOST_RANKS = 4096


def check(config: StepFields) -> None:
    """
    Raises:
        RequestError: ranks and sharding do not go together, or not with another field.
    """
    how, ranks = config.sharding, config.ranks
    if ranks > 1 and how == "none":
        raise RequestError(
            f"sharding: expected how {ranks} ranks train together, found none",
            hint="set sharding to ddp, zero1 or fsdp2, or ranks to 1",
        )
    if ranks == 1:
        if how != "none":
            raise RequestError(f"ranks: {how} needs at least 2, found 1", hint="set ranks, such as 8")
        return
    for problem, hint in _problems(config):
        raise RequestError(problem, hint=hint)


def _problems(config: StepFields) -> list[tuple[str, str]]:
    """What stands against several ranks, with what to do about it."""
    how, found = config.sharding, []
    if config.model != "gpt2":
        found.append(
            (
                f"sharding: {config.model} shares its optimizer between ranks in a way of its own, which is "
                "not written here",
                "run its own script: nanocheck run --gpu 8xh100 -- torchrun ...; or set ranks to 1",
            )
        )
    if config.cycle != "train":
        found.append(
            (
                f"cycle: of {config.ranks} ranks only optimizer steps are written here, found {config.cycle}",
                "set cycle to train",
            )
        )
    if config.weights == "nf4-lora":
        found.append(
            ("weights: nf4-lora of several ranks is not written here", "set weights to fp32 or bf16")
        )
    if config.update == "backward":
        found.append(
            (
                f"update: {how} adds gradients up over the ranks first, in the backward a parameter would "
                "change before that",
                "set update to step",
            )
        )
    if config.optimizer == "adamw-offload":
        found.append(
            (
                f"optimizer: adamw-offload copies gradients to the host before {how} has added them up",
                "set optimizer to adamw-fused",
            )
        )
    elif how != "ddp" and config.optimizer not in ADAMWS:
        found.append(
            (
                f"optimizer: {config.optimizer} of {how} is not written here, expected one of "
                + ", ".join(ADAMWS),
                "set optimizer to adamw-fused, or sharding to ddp",
            )
        )
    if how == "fsdp2" and config.dtype == "fp16":
        found.append(
            (
                "dtype: fsdp2 in fp16 needs a loss scaler that knows all ranks, which is not written here",
                "set dtype to bf16",
            )
        )
    if how == "fsdp2" and config.compile == "reduce-overhead":
        found.append(
            (
                "compile: CUDA graphs cannot hold fsdp2's all-gathers, whose buffers come and go",
                "set compile to default or off",
            )
        )
    return found


def rank_that_runs(config: StepFields) -> int:
    """The rank that needs most.

    ``ddp``: all need the same. ``fsdp2``: rank 0, whose chunk of every parameter is the largest (the chunk is
    the size divided by the ranks, rounded up; the last ranks have less, or nothing). ``zero1``: the one that
    updates most numbers, often 0, as it has the largest parameter.
    """
    if config.sharding != "zero1":
        return 0
    sizes = [sum(map(math.prod, part)) for part in zero1_parts(parameter_shapes(config), config.ranks)]
    return sizes.index(max(sizes))


def notes(config: StepFields) -> tuple[str, ...]:
    """What a reader of a result of several ranks must know."""
    if config.ranks == 1:
        return ()
    which = f"rank {rank_that_runs(config)} of {config.ranks}"
    most = "all need the same" if config.sharding == "ddp" else "no other needs more"
    return (f"{which} ran alone, {most}: the others are taken to do what it does",)


def fsdp2_shard(shape: Shape, ranks: int, rank: int = 0) -> Shape:
    """What a rank keeps of a parameter: rows of it, as ``torch.chunk`` divides them; it may be none."""
    rows = -(-shape[0] // ranks)
    return (max(0, min(rows, shape[0] - rank * rows)), *shape[1:])


def zero1_parts(shapes: Sequence[Shape], ranks: int) -> list[list[Shape]]:
    """For each rank the parameters whose state it keeps.

    As ``ZeroRedundancyOptimizer`` deals them out over this optimizer's two groups, matrices before vectors:
    the largest first, each to the rank that has least so far.
    """
    parts: list[list[Shape]] = [[] for _ in range(ranks)]
    sizes = [0] * ranks
    for group in ([each for each in shapes if len(each) > 1], [each for each in shapes if len(each) == 1]):
        for shape in sorted(group, key=math.prod, reverse=True):
            rank = sizes.index(min(sizes))
            parts[rank].append(shape)
            sizes[rank] += math.prod(shape)
    return parts
