"""Accumulating more than two micro-batches costs nothing, as far as the program can decide it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import STEP, Laboratory, compare, peak_bytes, peak_of

Pairs = list[tuple[StepConfig, StepConfig]]


def two_and(bases: list[StepConfig], more: int) -> Pairs:
    return [(replace(each, accumulation=2), replace(each, accumulation=2 + more)) for each in bases]


@explored()
@given(bases=configurations(), more=st.integers(1, 30))
def test_more_than_two_ask_for_nothing_more(lab: Laboratory, bases: list[StepConfig], more: int) -> None:
    for two, many in lab.pairs(two_and(bases, more)):
        for phase in STEP:
            low, high = (peak_of(each, phase).requested_bytes for each in (two, many))
            assert low == high, (phase, compare(two, many, "requested_bytes"))


@explored()
@given(bases=configurations(allocator="expandable"), more=st.integers(1, 30))
def test_nor_allocate_more_where_blocks_are_split_exactly(
    lab: Laboratory, bases: list[StepConfig], more: int
) -> None:
    """Only expandable segments: see ``test_findings`` for the default allocator, and for reserved bytes."""
    for two, many in lab.pairs(two_and(bases, more)):
        for phase in STEP:
            low, high = (peak_of(each, phase).allocated_bytes for each in (two, many))
            assert low == high, (phase, compare(two, many, "allocated_bytes"))


@explored(long=4)
@given(bases=configurations())
def test_the_second_micro_batch_never_asks_for_less(lab: Laboratory, bases: list[StepConfig]) -> None:
    """It runs beside the gradients and the logits of the first."""
    pairs = [(replace(each, accumulation=1), replace(each, accumulation=2)) for each in bases]
    for one, two in lab.pairs(pairs):
        low, high = (peak_bytes(each, "requested_bytes") for each in (one, two))
        assert low <= high, compare(one, two, "requested_bytes")
