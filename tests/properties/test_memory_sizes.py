"""More of anything never takes less memory: batch, block, layers, vocabulary, biases."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import Laboratory, compare, peak_bytes


@pytest.mark.parametrize("field", ["batch", "block_size", "n_layer", "vocab_size"])
def test_more_never_asks_for_less(lab: Laboratory, field: str) -> None:
    most = {"batch": 4, "block_size": 128, "n_layer": 2, "vocab_size": 500}[field]

    @explored()
    @given(bases=configurations(), more=st.integers(1, most))
    def check(bases: list[StepConfig], more: int) -> None:
        pairs = [(each, replace(each, **{field: getattr(each, field) + more})) for each in bases]
        for small, large in lab.pairs(pairs):
            fields = ["requested_bytes"]
            # The default allocator leaves up to 1 MiB in a block that it hands out, which is not a law.
            if small.config.allocator == "expandable":
                fields.append("allocated_bytes")
            for each in fields:
                assert peak_bytes(small, each) <= peak_bytes(large, each), compare(small, large, each)

    check()


@explored(long=4)
@given(bases=configurations())
def test_biases_never_ask_for_less(lab: Laboratory, bases: list[StepConfig]) -> None:
    pairs = [(replace(each, bias=False), replace(each, bias=True)) for each in bases]
    for without, with_biases in lab.pairs(pairs):
        low, high = (peak_bytes(each, "requested_bytes") for each in (without, with_biases))
        assert low <= high, compare(without, with_biases, "requested_bytes")
