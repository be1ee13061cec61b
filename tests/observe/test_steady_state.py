"""When no further step is needed: proved by the allocator's layout, or by a long rest; never by a count."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.observe.steady_state import (
    MORE,
    REPEATS,
    RESTED,
    RESTS,
    UNSETTLED,
    Growth,
    Settling,
    layouts_of,
)

MEBIBYTES = st.integers(1, 50)


def follow(
    settling: Settling, peak: Callable[[int], int], layouts: Callable[[int], Any], repeats: bool = True
) -> tuple[str, int, int]:
    """Steps until it is enough: why, how many, and the peak by then."""
    highest = 0
    for step in range(1, 10_000):
        highest = max(highest, peak(step))
        why = settling.step_ended((highest,), layouts(step), repeats=repeats)
        if why is not None:
            assert settling.done == step
            return why, step, highest
    raise AssertionError("it never ended")


@st.composite
def pools(draw: st.DrawFn) -> Callable[[int], tuple[int, int]]:
    """A pool of the allocator: its layout and what it reserves after a step, on a way in and in a circle.

    Reserving more is another layout, so what it reserves rises on the way in only.
    """
    way_in = draw(st.lists(st.integers(0, 9), max_size=25))
    circle = draw(st.integers(1, 6))

    def after(step: int) -> tuple[int, int]:
        layout = step if step <= len(way_in) else len(way_in) + (step - len(way_in)) % circle
        return layout, sum(way_in[:step])

    return after


@given(st.integers(1, 9), st.lists(pools(), min_size=1, max_size=3))
def test_no_later_step_of_a_program_that_repeats_itself_raises_the_peak(
    at_least: int, drawn: list[Callable[[int], tuple[int, int]]]
) -> None:
    def reserved(step: int) -> int:
        return sum(pool(step)[1] for pool in drawn)

    why, step, highest = follow(
        Settling(at_least),
        reserved,
        lambda each: {number: pool(each)[0] for number, pool in enumerate(drawn)},
    )
    assert why in (REPEATS, RESTS)
    assert step >= at_least
    if why == REPEATS:
        assert highest == reserved(10_000)


@given(st.integers(1, 9), st.lists(MEBIBYTES, min_size=MORE + 10, max_size=MORE + 10))
def test_without_a_repeated_layout_it_takes_a_long_rest(at_least: int, peaks: list[int]) -> None:
    why, step, highest = follow(Settling(at_least), lambda each: peaks[each - 1], lambda each: {0: each})
    raised = peaks.index(highest) + 1
    if why == RESTS:
        assert step - raised >= max(raised, RESTED)
    else:
        assert (why, step) == (UNSETTLED, at_least + MORE)


@given(st.integers(1, 9))
def test_equal_layouts_prove_nothing_where_inputs_differ(at_least: int) -> None:
    why, step, _ = follow(Settling(at_least), lambda _: 1, lambda _: {0: 0}, repeats=False)
    assert (why, step) == (RESTS, max(at_least, 1 + RESTED))


def test_a_peak_that_moves_in_every_step_is_left_at_last() -> None:
    why, step, _ = follow(Settling(3), lambda each: each, lambda _: {0: 0})
    assert (why, step) == (UNSETTLED, 3 + MORE)


def test_what_is_waited_for_begins_the_count_anew() -> None:
    settling = Settling(3)
    for step in range(1, 200):
        assert settling.step_ended((step,), {0: step}) is None
        settling.postpone()
    steps = next(n for n in range(1, 200) if settling.step_ended((1000 + n,), {0: -n}) == UNSETTLED)
    assert steps == MORE


# -- growth -----------------------------------------------------------------------------------------


def growth(sizes: list[int]) -> int:
    found = Growth()
    for step, size in enumerate(sizes, start=1):
        found.step_ended(step, size)
    return found.bytes_per_step


@given(st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.integers(1, 1 << 30), st.integers(5, 50))
def test_a_leak_in_each_step_is_told_to_the_byte(first: int, second: int, leak: int, steps: int) -> None:
    """Whatever the first step did: it makes the optimizer's state."""
    assert growth([first, *(second + leak * step for step in range(steps - 1))]) == leak


@given(st.lists(st.integers(0, 1 << 40), max_size=20))
def test_what_ever_falls_is_no_growth(sizes: list[int]) -> None:
    steps = list(itertools.pairwise(sizes[1:]))
    rises = sum(before < after for before, after in steps)
    falls = any(before > after for before, after in steps)
    assert (growth(sizes) > 0) <= (rises >= 3 and not falls)
    assert growth([*sizes, 1 << 50, 0]) == 0


# -- layouts ----------------------------------------------------------------------------------------

BLOCKS = st.lists(
    st.fixed_dictionaries(
        {
            "size": st.sampled_from([512, 1024]),
            "requested_size": st.sampled_from([500, 512]),
            "state": st.sampled_from(["inactive", "active_allocated"]),
        }
    ),
    min_size=1,
    max_size=3,
)
SEGMENTS = st.lists(
    st.fixed_dictionaries(
        {
            "device": st.just(0),
            "total_size": st.sampled_from([2 << 20, 20 << 20]),
            "stream": st.sampled_from([0, 7]),
            "segment_type": st.sampled_from(["small", "large"]),
            "is_expandable": st.booleans(),
            "blocks": BLOCKS,
        }
    ),
    max_size=4,
)


def placed(segments: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """With addresses in order, from ``at``; those of expandable segments are theirs for ever."""
    return [
        {**segment, "address": (index << 32) + (0 if segment["is_expandable"] else at)}
        for index, segment in enumerate(segments)
    ]


def one_by_one(segments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same, pool after pool: pools are apart."""
    return sorted(placed(segments, 0), key=lambda each: (each["stream"], each["segment_type"]))


@given(SEGMENTS, SEGMENTS, st.integers(0, 1 << 30))
def test_a_layout_is_sizes_and_states_in_the_order_of_addresses(
    one: list[dict[str, Any]], other: list[dict[str, Any]], at: int
) -> None:
    assert layouts_of(placed(one, 0), 0) == layouts_of(placed(one, at), 0)
    assert layouts_of(placed(one, 0), 0) == layouts_of(one_by_one(one), 0)
    if layouts_of(placed(one, 0), 0) == layouts_of(placed(other, 0), 0):
        first, second = (sorted(json.dumps(each, sort_keys=True) for each in both) for both in (one, other))
        assert first == second
    assert layouts_of(placed(one, 0), 1) == layouts_of([], 1)


@pytest.mark.parametrize("key", ["size", "requested_size", "state"])
def test_no_part_of_a_block_is_left_out(key: str) -> None:
    block = {"size": 512, "requested_size": 500, "state": "inactive"}
    segment = {"device": 0, "address": 1, "total_size": 2 << 20, "stream": 0, "segment_type": "small"}
    other = {**block, key: "active_allocated" if key == "state" else 1024}
    first, second = ({**segment, "blocks": [each]} for each in (block, other))
    assert layouts_of([first], 0) != layouts_of([second], 0)
