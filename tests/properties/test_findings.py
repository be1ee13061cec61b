"""What one would expect of memory and is not so: the smallest cases that Hypothesis or a search found.

Each is a pair of configurations and their exact bytes under torch 2.14; other versions break ties between
free blocks otherwise. What the program asks for (requested bytes) keeps every law of the other files; these
are the caching allocator's doing, except the last three: autocast's, checkpointing's and nanoGPT's.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from nanocheck.core.config import StepConfig
from nanocheck.virtual.installed_torch import find_torch
from properties.laboratory import STEP, Laboratory, card_with, peak_bytes, peak_of

pytestmark = pytest.mark.skipif(
    not find_torch().version.startswith("2.14."), reason="the bytes are those of torch 2.14"
)

NARROW = StepConfig(n_layer=1, n_head=2, n_embd=384, block_size=330, vocab_size=1803, batch=6, dtype="fp32")
FLAT = StepConfig(
    n_layer=3, n_head=8, n_embd=320, block_size=143, vocab_size=4800, batch=6, accumulation=6, dtype="fp32"
)
MIB = 1 << 20


def figures(lab: Laboratory, field: str, *configs: StepConfig) -> list[int]:
    return [peak_bytes(result, field) for result in lab.results(configs)]


def test_reserved_bytes_move_with_accumulation_either_way(lab: Laboratory) -> None:
    """Accumulation 1, 2, 3: one micro-batch reserves more than two."""
    several = [replace(NARROW, accumulation=count) for count in (1, 2, 3)]
    assert figures(lab, "reserved_bytes", *several) == [205_520_896, 192_937_984, 207_618_048]
    assert figures(lab, "allocated_bytes", *several) == [163_816_960, 174_076_928, 175_466_496]
    assert figures(lab, "requested_bytes", *several) == [160_092_428, 170_451_212, 170_451_212]


def test_expandable_segments_reserve_by_accumulation_too(lab: Laboratory) -> None:
    """Accumulation 2, 3, 8: a granule of 20 MiB more for three than for two or eight."""
    base = StepConfig(n_layer=3, n_head=4, n_embd=64, block_size=192, vocab_size=4826, batch=4, dtype="fp32")
    several = [replace(base, allocator="expandable", accumulation=count) for count in (2, 3, 8)]
    assert figures(lab, "reserved_bytes", *several) == [98_566_144, 119_537_664, 98_566_144]
    assert figures(lab, "allocated_bytes", *several) == [93_798_400] * 3


def test_a_larger_batch_can_reserve_less(lab: Laboratory) -> None:
    """GPT-2, 576 wide: batch 9 takes 410 MiB less than batch 8, and on a card with 10,200 MiB left batch 8
    needs an allocator retry where batch 9 does not."""
    eight, nine = (StepConfig(n_embd=576, batch=count, accumulation=32) for count in (8, 9))
    assert figures(lab, "reserved_bytes", eight, nine) == [10_898_898_944, 10_468_982_784]
    assert figures(lab, "allocated_bytes", eight, nine) == [8_461_686_272, 9_326_704_128]
    cramped = lab.results([eight, nine], card=card_with(10_200 * MIB))
    assert [(each.outcome, each.main.retries) for each in cramped] == [("completed", 1), ("completed", 0)]


def test_a_longer_block_can_allocate_less(lab: Laboratory) -> None:
    """Block 443 against 451: 1.3 MiB less, though more is asked for."""
    short = StepConfig(
        n_layer=1, n_head=4, n_embd=448, block_size=443, vocab_size=254, bias=True, batch=1, accumulation=4,
        cycle="resume",
    )  # fmt: skip
    long = replace(short, block_size=451)
    assert figures(lab, "allocated_bytes", short, long) == [92_830_208, 91_431_936]
    assert figures(lab, "requested_bytes", short, long) == [88_643_124, 88_898_580]


def test_a_steady_step_can_allocate_differently_each_time(lab: Laboratory) -> None:
    """The default allocator hands out a block whole if up to 1 MiB would be left of it, and counts that as
    allocated; which block it finds depends on the step before."""
    (result,) = lab.results([FLAT])
    assert [peak_of(result, "backward", step).allocated_bytes for step in (1, 2)] == [
        231_147_008,
        231_254_528,
    ]
    assert len({peak_of(result, "backward", step).requested_bytes for step in (1, 2)}) == 1


def test_expandable_segments_can_reserve_more(lab: Laboratory) -> None:
    """20 or 2 MiB granules per pool: 12 MiB more here, 202 MiB more for GPT-2, 576 wide, batch 10."""
    pair = (FLAT, replace(FLAT, allocator="expandable"))
    assert figures(lab, "reserved_bytes", *pair) == [247_463_936, 260_046_848]
    assert figures(lab, "allocated_bytes", *pair) == [231_254_528, 222_360_576]


def test_evaluating_first_can_reserve_less(lab: Laboratory) -> None:
    """An evaluation before the first step leaves other free blocks behind: 8 MiB less here."""
    pair = (FLAT, replace(FLAT, cycle="full"))
    assert figures(lab, "reserved_bytes", *pair) == [247_463_936, 239_075_328]


def test_what_twelve_bytes_more_reserve_at_once_their_absence_reserves_later(lab: Laboratory) -> None:
    """fp16's three scalars were the last straw for a segment of small blocks, but only in the first three
    steps: bf16 needs that segment, too, a few steps later."""
    bf16 = StepConfig(
        n_layer=4, n_head=2, n_embd=320, block_size=304, vocab_size=3916, batch=4, accumulation=3,
        optimizer="adamw-foreach",
    )  # fmt: skip
    pair = (bf16, replace(bf16, dtype="fp16"))
    after_three = [peak_bytes(each, "reserved_bytes") for each in lab.results(pair, steps=3)]
    assert after_three == [285_212_672, 287_309_824]
    assert figures(lab, "reserved_bytes", *pair) == [287_309_824, 287_309_824]
    assert figures(lab, "requested_bytes", *pair) == [245_349_872, 245_349_884]


def test_bf16_can_take_more_than_fp32(lab: Laboratory) -> None:
    """GPT-2 124M, one sequence of 512: autocast keeps a bf16 copy of every matrix until the backward ends,
    which for so few tokens is more than the activations save."""
    bf16 = StepConfig(batch=1, block_size=512, accumulation=4)
    assert figures(lab, "requested_bytes", bf16, replace(bf16, dtype="fp32")) == [
        2_729_579_100,
        2_718_368_244,
    ]


def test_selective_checkpointing_can_take_more_than_none(lab: Laboratory) -> None:
    """Where next to nothing is saved, what it keeps for itself is more: 11,504 bytes of 64 MiB."""
    plain = StepConfig(
        n_layer=2, n_head=1, n_embd=320, block_size=32, vocab_size=1024, bias=True, batch=8, dtype="fp32"
    )
    pair = (plain, replace(plain, checkpointing="selective"))
    assert figures(lab, "requested_bytes", *pair) == [66_835_608, 66_847_112]


def test_resuming_takes_more_than_starting(lab: Laboratory) -> None:
    """GPT-2 124M, batch 4: the loaded weights stay, 4 bytes for each of 124,373,760 parameters, and reserve
    746 MiB more. A run that just fits cannot be resumed."""
    start = StepConfig(batch=4, accumulation=4)
    first, resumed = lab.results([start, replace(start, cycle="resume")])
    more = [peak_of(resumed, phase).requested_bytes - peak_of(first, phase).requested_bytes for phase in STEP]
    assert more == [4 * 124_373_760] * 3
    reserved = [peak_bytes(each, "reserved_bytes") for each in (first, resumed)]
    assert reserved == [7_193_231_360, 7_975_469_056]
