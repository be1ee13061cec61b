"""Intervals: arithmetic that leaves nothing out, comparisons that never say too much, honest units."""

from __future__ import annotations

import dataclasses
import itertools
import operator
import re
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nanocheck.claims.interval import Interval, maximum, minimum, span
from nanocheck.claims.named_units import UNITS, find_unit
from nanocheck.claims.truth import FALSE, TRUE, UNKNOWN, Text, Truth
from nanocheck.core.errors import RequestError

RANGES = {"a": (2, 3), "b": (-1, 4), "c": (-5, Fraction(-1, 2)), "d": (7, 7)}
OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
#: What the texts below may name; the same text is evaluated with intervals and with numbers from inside them.
PLAIN = {"two": Fraction(2), "three": Fraction(3)}
OF_INTERVALS: dict[str, Any] = {"minimum": minimum, "maximum": maximum, **PLAIN}
OF_NUMBERS: dict[str, Any] = {"minimum": min, "maximum": max, **PLAIN}

#: Python expressions over the names of RANGES.
expressions = st.recursive(
    st.sampled_from([*RANGES, *PLAIN]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([*OPERATIONS]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["minimum", "maximum"]), inner, inner).map(
            lambda t: f"{t[0]}({t[1]}, {t[2]})"
        ),
        inner.map(lambda text: f"(-{text})"),
        st.tuples(inner, st.sampled_from(["2", "3", "0"])).map(lambda t: f"({t[0]} ** {t[1]})"),
    ),
    max_leaves=6,
)
points = st.fixed_dictionaries({name: st.fractions(*ends) for name, ends in RANGES.items()})


def ranges() -> dict[str, Interval]:
    return {name: Interval(low, high).named(name, "") for name, (low, high) in RANGES.items()}


def as_interval(text: str) -> Interval:
    try:
        found = eval(text, dict(OF_INTERVALS), ranges())
    except ZeroDivisionError:  # of two plain numbers: Python's own affair
        assume(False)
        raise
    return found if isinstance(found, Interval) else Interval(found)


def at(text: str, point: dict[str, Fraction]) -> Fraction | None:
    """What plain numbers give; None for a division by 0."""
    try:
        found: Fraction = eval(text, dict(OF_NUMBERS), dict(point))
    except ZeroDivisionError:
        return None
    return found


@given(expressions, points)
def test_an_interval_holds_what_numbers_from_inside_give(text: str, point: dict[str, Fraction]) -> None:
    found, value = as_interval(text), at(text, point)
    if found.ends is None:
        assert "a division by what may be 0" in found.why
        return
    assert value is not None, "a division by 0 was not seen"
    assert found.low <= value <= found.high


@pytest.mark.parametrize("sign", OPERATIONS)
@pytest.mark.parametrize(("left", "right"), list(itertools.product(RANGES, repeat=2)))
def test_one_operation_gives_the_smallest_interval(left: str, sign: str, right: str) -> None:
    found = OPERATIONS[sign](ranges()[left], ranges()[right])
    if sign == "/" and right == "b":
        assert found.ends is None
        return
    corners = [
        OPERATIONS[sign](Fraction(one), Fraction(other)) for one in RANGES[left] for other in RANGES[right]
    ]
    assert found.ends == (min(corners), max(corners))


def test_powers_of_a_range_across_0() -> None:
    b = ranges()["b"]
    assert [(b**n).ends for n in (0, 1, 2, 3)] == [(1, 1), (-1, 4), (0, 16), (-1, 64)]
    assert (ranges()["a"] ** -2).ends == (Fraction(1, 9), Fraction(1, 4))
    assert (b**-1).ends is None


@given(expressions, st.sampled_from([*COMPARISONS]), expressions, points)
def test_a_comparison_that_is_certain_holds_for_all_numbers_inside(
    left: str, sign: str, right: str, point: dict[str, Fraction]
) -> None:
    found: Truth = COMPARISONS[sign](as_interval(left), as_interval(right))
    one, other = at(left, point), at(right, point)
    assume(one is not None and other is not None)
    assert found.value in (None, COMPARISONS[sign](one, other))


@given(expressions, expressions, points)
def test_within_is_certain_only_where_all_or_none_lie_inside(
    left: str, right: str, point: dict[str, Fraction]
) -> None:
    inner, outer = as_interval(left), as_interval(right)
    found, value = inner.within(outer), at(left, point)
    if inner.ends is None or outer.ends is None:
        assert found == UNKNOWN
    elif value is not None:
        assert found.value in (None, outer.low <= value <= outer.high)


@given(expressions)
def test_a_formula_computes_what_it_says(text: str) -> None:
    """Its parentheses stand where they must: evaluated again it gives the same interval."""
    found = as_interval(text)
    assume(not re.search(r"\d/\d", found.formula.text))  # two plain numbers: Python would divide floats
    again = as_interval(found.formula.text)
    assert (again.ends, again.formula) == (found.ends, found.formula)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a - (b - c)", "a - (b - c)"),
        ("(a - b) - c", "a - b - c"),
        ("a * (b + 2) / d", "a * (b + 2) / d"),
        ("a / (b * c)", "a / (b * c)"),
        ("(-a) ** 2", "(-a) ** 2"),
        ("-(a ** 2)", "-a ** 2"),
        ("minimum(a, b + 1) * 2", "minimum(a, b + 1) * 2"),
        ("(a < b) & ~(c > d) | (a == 2)", "a < b and not c > d or a == 2"),
        ("(a < b) & ((c > d) | (a == 2))", "a < b and (c > d or a == 2)"),
        ("~((a < b) & (c > d))", "not (a < b and c > d)"),
        ("a.within(b + 1)", "a within b + 1"),
        ("a / (two / three)", "a / (2/3)"),
        ("a - two", "a - 2"),
        ("two - -a", "2 - -a"),
    ],
)
def test_formulas_as_text(text: str, shown: str) -> None:
    assert eval(text, dict(OF_INTERVALS), ranges()).formula.text == shown


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_whole_numbers_stay_exact(one: int, other: int) -> None:
    assert (Interval(one) * other - one).ends == (one * other - one, one * other - one)


@given(st.integers(-(10**6), 10**6), st.integers(0, 6))
def test_a_float_is_what_is_written(digits: int, places: int) -> None:
    written = f"{digits}e-{places}"
    assert Interval(float(written)).low == Interval(np.float64(written)).low == Fraction(written)


def test_three_ways_to_compare() -> None:
    a, b, c, d = ranges().values()
    certain = [a < d, ~(d < a), a.within(b), ~c.within(a), d == 7, d != a, Interval(2).within(span(3, 1))]
    assert [each.value for each in certain] == [True] * 7
    assert [each.value for each in (a < b, b.within(a), a == a, a != a, span(1, 3) == 2)] == [None] * 5
    assert (a < b).why == "the ranges overlap"


def test_unknown_follows_kleene() -> None:
    order = [FALSE, UNKNOWN, TRUE]
    for (one, low), (other, high) in itertools.product(enumerate(order), repeat=2):
        assert low & high == order[min(one, other)]
        assert low | high == order[max(one, other)]
    assert [~each for each in order] == [TRUE, UNKNOWN, FALSE]
    assert (True & UNKNOWN, False & UNKNOWN, UNKNOWN | True) == (UNKNOWN, FALSE, TRUE)
    assert [bool(TRUE), bool(FALSE)] == [True, False]


def test_nobody_decides_what_nobody_knows() -> None:
    a, b, c, _ = ranges().values()
    for action in (lambda: bool(a < b), lambda: a < b < c, lambda: not (a < b), lambda: b in [a]):
        with pytest.raises(RequestError, match="expected true or false, found that nobody knows") as caught:
            action()
        assert "join comparisons with & | ~" in str(caught.value.hint)


def test_what_is_unknown_stays_unknown_and_says_why() -> None:
    gone = Interval.unknown("it has not run", "MiB").named("fix.allocated", "MiB")
    one_gib = Interval(1, unit="GiB")
    for found in (
        gone + one_gib,
        one_gib - gone,
        gone * 2,
        one_gib / gone,
        -gone,
        gone**2,
        span(gone, one_gib),
    ):
        assert (found.ends, found.why) == (None, "it has not run")
    for truth in (gone < one_gib, one_gib == gone, gone.within(one_gib)):
        assert (truth, truth.why) == (UNKNOWN, "it has not run")
    assert f"{gone} {gone:GB.1}" == "unknown unknown"
    with pytest.raises(RequestError, match=r"fix\.allocated: expected a known number, found unknown: it has"):
        _ = gone.low


def test_an_interval_does_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Interval(1).why = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        hash(Interval(1))


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda: Interval(2, 1), "from low to high, found 2 to 1"),
        (lambda: Interval(float("nan")), "a finite number, found nan"),
        (lambda: Interval(float("inf")), "a finite number, found inf"),
        (lambda: Interval(1, unit="Gb"), "expected a unit, found 'Gb'"),
        (lambda: Interval(1) + "x", "expected a number, found 'x'"),
        (lambda: Interval(1) == "x", "expected a number, found 'x'"),
        (lambda: Interval("3"), "expected a number, found '3' (str)"),
        (lambda: Interval(1) + True, "expected a number, found True"),
        (lambda: Interval(1).within((1, 2)), "expected a number, found (1, 2)"),
        (lambda: Interval(2) ** 0.5, "a whole number as the exponent, found 0.5"),
        (
            lambda: Interval(1, unit="GiB") + 1,
            "1 GiB + 1: expected two of the same unit, found bytes and a plain",
        ),
        (lambda: Interval(1, unit="GiB") < Interval(3, unit="days"), "found bytes and seconds"),
        (lambda: span(1, Interval(1, unit="s")), "found a plain number and seconds"),
        (
            lambda: Interval(1, unit="W").named("power", "kWh"),
            "expected a unit of joules per second, found kWh",
        ),
        (lambda: f"{Interval(1, unit='GiB'):days}", "expected a unit of bytes, found days"),
        (lambda: f"{Interval(1, unit='GiB') * 2}", "1 GiB * 2: expected a unit of bytes, found none"),
        (lambda: f"{Interval(1):,.2f}", "expected a format such as GiB, GiB.2 or .0, found ',.2f'"),
    ],
)
def test_mistakes(action: Any, expected: str) -> None:
    with pytest.raises(RequestError) as caught:
        action()
    assert expected in caught.value.problem


def test_units_are_what_they_are() -> None:
    def one(unit: str, number: float = 1) -> Interval:
        return Interval(number, unit=unit)

    equal = [
        one("GiB") == one("MiB", 1024),
        one("GB") == one("B", 10**9),
        one("days") == one("hours", 24),
        one("kWh") == one("W", 1000) * one("hours"),
        one("percent", 3) == 0.03,
        one("TFLOPS") * one("s") == 10**12,
        one("USD/kWh", 2) * one("kWh") == one("USD", 2),
        one("billion tokens") == 10**9,
        one("GB/s") * one("s", 2) == one("GB", 2),
        Interval(0.1) + 0.2 == 0.3,
    ]
    assert equal == [TRUE] * len(equal)
    assert all(unit.factor > 0 for unit in UNITS.values())
    with pytest.raises(RequestError) as caught:
        find_unit("TFLOP")
    assert caught.value.hint == "write TFLOPS"


@pytest.mark.parametrize(
    ("value", "spec", "shown"),
    [
        (Interval(1_879_048_192), "", "1,879,048,192"),
        (Interval(4.539628e20, unit="FLOP"), "", "4.54e20 FLOP"),
        (Interval(5.96e-8), "", "5.96e-08"),
        (Interval(10_815.5, unit="MiB"), "", "10,816 MiB"),
        (Interval(8_069.66, unit="MiB"), "", "8,069.7 MiB"),
        (Interval(8_069.66, unit="MiB"), "GiB.2", "7.88 GiB"),
        (Interval(0.6249), "", "0.6249"),
        (Interval(223, 292, "days"), "", "223 to 292 days"),
        (Interval(223.04, 223.05, "days"), ".0", "223 days"),
        (Interval(10, 15, "percent"), "", "10 to 15 %"),
        (Interval(-0.0625), "percent.2", "-6.25 %"),
        (Interval(37_580_963_840, unit="tokens"), "billion tokens.2", "37.58 billion tokens"),
        (Interval(3, unit="times"), "", "3"),
    ],
)
def test_as_words(value: Interval, spec: str, shown: str) -> None:
    assert format(value, spec) == shown


def test_texts_may_be_unknown_too() -> None:
    known, unknown = Text("oom"), Text(None, "it crashed")
    assert [known == "oom", known != "oom", known == "completed"] == [TRUE, FALSE, FALSE]
    assert [unknown == "oom", unknown != "oom", known == unknown] == [UNKNOWN] * 3
    assert (unknown == "oom").why == "it crashed"
    assert f"{known} {unknown}" == "oom unknown"


@given(st.integers(0, 5000), st.sampled_from([1, -1]))
def test_numbers_of_any_length_are_taken_or_refused(digits: int, sign: int) -> None:
    number = sign * 10**digits
    if digits > 100:
        with pytest.raises(RequestError, match="1e100"):
            Interval(number, unit="GiB")
        return
    power = Interval(number, unit="tokens")
    for _ in range(5):
        power = power * power
        assert len(f"{power}") < 600
