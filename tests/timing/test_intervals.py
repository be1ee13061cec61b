"""Conformal quantiles: how often they hold, and when there are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_kernels import CARDS, product_kernel, step

from nanocheck.timing import intervals
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate
from nanocheck.timing.intervals import FEWEST, LEVEL, quantiles

distinct = st.lists(st.floats(-3, 3), min_size=FEWEST + 1, max_size=60, unique=True)


@given(distinct)
def test_of_equal_scores_at_least_the_level_lies_inside(scores: list[float]) -> None:
    """Each in turn as the new one: exchangeable scores are covered so often, whatever their distribution."""
    inside = 0
    for at, score in enumerate(scores):
        bounds = quantiles(scores[:at] + scores[at + 1 :])
        if bounds is None:
            assert len(scores) - 1 < FEWEST
            return
        inside += bounds[0] <= score <= bounds[1]
    assert inside >= LEVEL * len(scores) - 1e-9


@given(st.lists(st.floats(-3, 3), max_size=FEWEST - 1))
def test_too_few_scores_give_none(scores: list[float]) -> None:
    assert quantiles(scores) is None


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.id)
def test_an_interval_says_how_many_groups_or_why_there_is_none(card: Card) -> None:
    for dtype, kind in (("bfloat16", "half"), ("float32", "single")):
        found = estimate(step(([product_kernel(4096, 4096, 512, dtype=dtype)], 3)), card)
        groups = sum(each == kind for each, *_ in intervals.load())
        if found.interval is None:
            assert groups < FEWEST or found.decided_by == "floor"
            assert found.no_interval
        else:
            assert found.interval.groups == groups >= FEWEST
            assert found.interval.low < found.interval.high
            assert found.no_interval is None


def test_few_groups_give_a_word_instead_of_an_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "load", lambda: (("half", "s", "c", 0.1),) * (FEWEST - 1))
    found = estimate(step(([product_kernel(4096, 4096, 512)], 3)), CARDS[0])
    assert found.interval is None
    assert str(FEWEST) in str(found.no_interval)


def test_one_score_for_each_source_and_card() -> None:
    groups = [each[:3] for each in intervals.load()]
    assert len(groups) == len(set(groups))
