"""Tokens per step stay what they were asked to be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.errors import RequestError
from nanocheck.search import tokens_per_step


@given(st.integers(1, 2**21), st.integers(1, 4096), st.integers(1, 512))
def test_no_accumulation_is_nearer(asked: int, block: int, batch: int) -> None:
    found = tokens_per_step.split(asked, block, batch)
    assert found.tokens == found.batch * found.accumulation * found.block_size
    assert found.batch == batch
    assert found.accumulation >= 1
    off = abs(found.tokens - asked)
    for other in (found.accumulation - 1, found.accumulation + 1):
        assert other < 1 or abs(batch * other * block - asked) >= off
    assert found.exact == (asked % (batch * block) == 0)
    assert found.deviation == pytest.approx(found.tokens / asked - 1)


@given(st.integers(1, 3000), st.integers(1, 64), st.floats(0, 3))
def test_worthwhile_splits_rise_in_speed_and_stray_only_where_it_repays(
    sequences: int, block: int, overhead: float
) -> None:
    found = tokens_per_step.splits(sequences * block, block)
    seconds = {each.batch: 1 + overhead / each.batch for each in found}
    kept = tokens_per_step.worthwhile(found, [seconds[each.batch] for each in found])
    assert kept[0].batch == 1
    batches = [each.batch for each in kept]
    assert batches == sorted(batches)
    for each in kept:
        if not each.exact:
            assert abs(each.deviation) <= tokens_per_step.MOST_OFF
            best = min(seconds[other.batch] for other in kept if other.exact and other.batch < each.batch)
            assert seconds[each.batch] * tokens_per_step.WORTH <= best
    if overhead > 0.01:
        exact = [each.batch for each in found if each.exact]
        # An exact one is left out only for a smaller batch that is no slower, which there is not.
        assert set(exact) <= set(batches)


def test_powers_of_two_are_exact() -> None:
    found = tokens_per_step.splits(524_288, 1024)
    kept = tokens_per_step.worthwhile(found, [1 + 0.05 / each.batch for each in found])
    assert [each.batch for each in kept] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert all(each.exact for each in kept)


def test_where_no_split_is_exact_the_nearest_counts() -> None:
    found = tokens_per_step.splits(524_289, 1024)
    kept = tokens_per_step.worthwhile(found, [1 + 0.05 / each.batch for each in found])
    assert [each.batch for each in kept] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert not any(each.exact for each in kept)


def test_less_than_a_sequence_is_no_step() -> None:
    with pytest.raises(RequestError, match="at least one sequence of 1,024 tokens, found 1,000"):
        tokens_per_step.splits(1000, 1024)
