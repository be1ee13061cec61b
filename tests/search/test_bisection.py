"""The bisection against arbitrary functions, monotone or not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.search import bisection
from nanocheck.search.bisection import Found


@dataclass(frozen=True)
class Outcome:
    fits: bool
    need_bytes: int | None


Ask = Callable[[int], Outcome]

sizes = st.lists(st.integers(1, 2000), min_size=1, max_size=60, unique=True).map(sorted)
#: What runs reserve: rising with the batch, along a line or ever faster; or anything at all.
rising = st.tuples(st.integers(0, 500), st.integers(0, 50), st.sampled_from([0, 0, 1, 5])).map(
    lambda curve: lambda size: curve[0] + curve[1] * size + curve[2] * size**2
)
wild = st.integers(0, 2**30).map(lambda seed: lambda size: (size * 7919 + seed) ** 2 % 4001)


def run(asking: bisection.Bisection, ask: Ask, at_once: int = 1) -> tuple[Found, list[int]]:
    asked: list[int] = []
    some = next(asking)
    while True:
        assert 1 <= len(some) <= at_once
        asked += some
        try:
            some = asking.send({size: ask(size) for size in some})
        except StopIteration as end:
            return end.value, asked


def asker(need: Callable[[int], int], limit: int) -> Ask:
    def ask(size: int) -> Outcome:
        found = need(size)
        # What only just does not fit has finished, inside the margin; what died needs who knows how much.
        return Outcome(found <= limit, found if found <= 2 * limit else None)

    return ask


@given(sizes, rising, st.integers(0, 20_000), st.integers(1, 2000))
def test_of_a_monotone_function_it_finds_the_largest(
    choice: list[int], need: Callable[[int], int], limit: int, start: int
) -> None:
    found, asked = run(bisection.largest_that_fits(choice, limit, start=start), asker(need, limit))
    fitting = [size for size in choice if need(size) <= limit]
    assert found.largest == max(fitting, default=0)
    assert found.refused == min((size for size in choice if need(size) > limit), default=None)
    assert found.exceptions == ()
    assert len(asked) == len(set(asked)) <= 4 + 11 + len(bisection.PROBES)


@given(sizes, st.one_of(rising, wild), st.integers(0, 4000), st.integers(1, 2000))
def test_of_any_function_what_it_says_was_asked_and_is_so(
    choice: list[int], need: Callable[[int], int], limit: int, start: int
) -> None:
    ask = asker(need, limit)
    found, asked = run(bisection.largest_that_fits(choice, limit, start=start), ask)
    assert len(asked) == len(set(asked))
    assert set(asked) <= set(choice)
    at = -1
    if found.largest:
        at = choice.index(found.largest)
        assert found.largest in asked
        assert ask(found.largest).fits
    if found.refused is None:
        assert at == len(choice) - 1
    else:
        assert found.refused == choice[at + 1]
        assert found.refused in asked
        assert not ask(found.refused).fits
    least = min((size for size in asked if not ask(size).fits), default=None)
    expected = (
        () if least is None else tuple(sorted(size for size in asked if ask(size).fits and size > least))
    )
    assert found.exceptions == expected


def test_a_hole_beyond_the_frontier_is_found_by_a_probe() -> None:
    hole = asker(lambda size: 0 if size in (*range(1, 11), 16, 22) else 9, 1)
    found, asked = run(bisection.largest_that_fits(range(1, 100), 1), hole)
    assert found == Found(largest=10, refused=11, exceptions=(16, 22))
    assert {14, 16, 22} <= set(asked)


def test_a_line_needs_few_runs() -> None:
    _, asked = run(
        bisection.largest_that_fits(range(1, 513), 12_000, probes=()), asker(lambda s: 100 + 90 * s, 12_000)
    )
    assert asked == [1, 63, 132, 133]


@given(sizes, rising, st.integers(0, 20_000), st.integers(1, 2000))
def test_dear_runs_are_few_and_what_is_said_of_them_is_so(
    choice: list[int], need: Callable[[int], int], limit: int, start: int
) -> None:
    ask = asker(need, limit)
    found, asked = run(bisection.largest_in_pairs(choice, limit, start=start), ask, at_once=2)
    assert len(asked) == len(set(asked))
    fitting = [size for size in choice if need(size) <= limit]
    if found.refused is not None:
        assert found.largest == max(fitting, default=0)
        assert found.refused in asked
    elif found.largest:
        assert found.largest in asked
        assert found.largest in fitting
        beyond = [size for size in choice if size > found.largest]
        # Nothing refused: needs that rise along a line, or faster, are no less than the line says.
        assert not beyond or len(asked) < 2 or need(beyond[0]) > limit


@given(sizes, wild, st.integers(0, 4000), st.integers(1, 2000))
def test_dear_runs_of_any_function_end(
    choice: list[int], need: Callable[[int], int], limit: int, start: int
) -> None:
    ask = asker(need, limit)
    found, asked = run(bisection.largest_in_pairs(choice, limit, start=start), ask, at_once=2)
    assert len(asked) == len(set(asked))
    assert found.largest == max((size for size in asked if ask(size).fits), default=0)
    assert found.refused is None or (not ask(found.refused).fits and found.refused > found.largest)


def test_a_bad_line_is_restored_by_thirds() -> None:
    ask = asker(lambda size: size**2, 1000)
    found, asked = run(bisection.largest_in_pairs(range(1, 513), 1000, start=2), ask, at_once=2)
    assert found == Found(largest=31, refused=32, exceptions=())
    assert len(asked) <= 16


def test_two_dear_runs_are_enough_where_the_second_does_not_fit() -> None:
    ask = asker(lambda size: 600 * size, 9_000)
    found, asked = run(bisection.largest_in_pairs([1, 2, 4, 8, 16, 32], 9_000, start=8), ask, at_once=2)
    assert asked == [8, 16]
    assert found == Found(largest=8, refused=16, exceptions=())
