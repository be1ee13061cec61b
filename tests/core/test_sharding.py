"""Several ranks: which of them needs most, what each keeps by formula, and what does not go together."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core import memory_formulas
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.shapes import parameter_shapes
from nanocheck.core.sharding import fsdp2_shard, rank_that_runs, zero1_parts

RANKS = st.integers(2, 65)
SHAPES = st.lists(st.integers(1, 300).flatmap(lambda n: st.sampled_from([(n,), (n, 3), (2, n)])), min_size=1)


def config(**fields: Any) -> StepConfig:
    small = {"n_layer": 2, "n_head": 2, "n_embd": 64, "block_size": 64, "vocab_size": 1000, "batch": 2}
    return StepConfig.from_dict({**small, **fields})


@given(st.tuples(st.integers(1, 5000), st.integers(1, 4)), RANKS)
def test_shards_are_the_chunks_that_torch_cuts_and_rank_0_has_the_largest(
    shape: tuple[int, int], ranks: int
) -> None:
    cut = [tuple(each.shape) for each in torch.chunk(torch.empty(shape, device="meta"), ranks)]
    cut += [(0, *shape[1:])] * (ranks - len(cut))  # as FSDP2's _chunk_with_empty fills them up
    assert [fsdp2_shard(shape, ranks, rank) for rank in range(ranks)] == cut
    assert max(cut) == cut[0]


@given(SHAPES, RANKS)
def test_zero1_deals_parameters_out_as_torch_does(shapes: list[tuple[int, ...]], ranks: int) -> None:
    # Here, not above: it takes whoever collects the tests two seconds.
    from torch.distributed.optim import ZeroRedundancyOptimizer

    own = ZeroRedundancyOptimizer.__new__(ZeroRedundancyOptimizer)
    parameters = [torch.empty(shape, device="meta") for shape in shapes]
    own.world_size, own._partition_parameters_cache = ranks, []
    own.param_groups = [
        {"params": [each for each in parameters if each.dim() > 1]},
        {"params": [each for each in parameters if each.dim() == 1]},
    ]
    theirs = [
        [tuple(each.shape) for group in part for each in group["params"]]
        for part in own._partition_parameters()
    ]
    assert zero1_parts(shapes, ranks) == theirs


@given(RANKS, st.integers(1, 8), st.integers(1, 4), st.sampled_from(["ddp", "zero1", "fsdp2"]))
def test_no_rank_keeps_more_than_the_one_that_runs(ranks: int, layers: int, heads: int, how: str) -> None:
    each = config(ranks=ranks, sharding=how, n_layer=layers, n_head=heads, n_embd=32 * heads)
    alone = config(n_layer=layers, n_head=heads, n_embd=32 * heads)
    shapes = parameter_shapes(each)
    ours = rank_that_runs(each)
    kept = {
        "ddp": [shapes] * ranks,
        "zero1": zero1_parts(shapes, ranks),
        "fsdp2": [[fsdp2_shard(shape, ranks, rank) for shape in shapes] for rank in range(ranks)],
    }[how]
    numbers = [sum(map(math.prod, part)) for part in kept]
    assert numbers[ours] == max(numbers)
    assert how == "ddp" or ranks * numbers[ours] >= each.parameters
    static = memory_formulas.static_bytes
    buckets = memory_formulas.bucket_bytes(each)
    assert (static(each) - buckets < static(alone)) == (how != "ddp")


def test_state_and_weights_of_eight_ranks_are_an_eighth() -> None:
    """GPT-2's sizes that divide by 8: a reader can follow this one by hand."""
    whole, each = (
        config(optimizer="adamw-foreach"),
        config(optimizer="adamw-foreach", ranks=8, sharding="fsdp2"),
    )
    for part in (memory_formulas.weight_bytes, memory_formulas.gradient_bytes, memory_formulas.state_bytes):
        assert 8 * part(each) == part(whole)
    assert memory_formulas.state_bytes(whole) == 8 * whole.parameters


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"ranks": 8}, "sharding"),
        ({"sharding": "ddp"}, "ranks"),
        ({"ranks": 0}, "ranks"),
        ({"ranks": 4097, "sharding": "ddp"}, "ranks"),
        ({"ranks": 2, "sharding": "zero3"}, "sharding"),
        ({"ranks": 2, "sharding": "ddp", "model": "nanochat-2026"}, "sharding"),
        ({"ranks": 2, "sharding": "ddp", "cycle": "full"}, "cycle"),
        ({"ranks": 2, "sharding": "ddp", "update": "backward"}, "update"),
        ({"ranks": 2, "sharding": "ddp", "weights": "nf4-lora"}, "weights"),
        ({"ranks": 2, "sharding": "ddp", "optimizer": "adamw-offload"}, "optimizer"),
        ({"ranks": 2, "sharding": "zero1", "optimizer": "adamw-8bit"}, "optimizer"),
        ({"ranks": 2, "sharding": "fsdp2", "optimizer": "adamw-4bit"}, "optimizer"),
        ({"ranks": 2, "sharding": "fsdp2", "dtype": "fp16"}, "dtype"),
        ({"ranks": 2, "sharding": "fsdp2", "compile": "reduce-overhead"}, "compile"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_the_field_to_change(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError) as error:
        config(**fields)
    assert error.value.problem.startswith(f"{says}:")


def test_a_name_gains_a_part_only_where_ranks_are_several() -> None:
    alone, shared = config(), config(ranks=8, sharding="fsdp2")
    assert shared.id == f"{alone.id}-r8-fsdp2"
    assert not {"ranks", "sharding"} & alone.to_dict().keys()
    assert StepConfig.from_dict(shared.to_dict()) == shared
