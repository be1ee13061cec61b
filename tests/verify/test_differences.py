"""Equal means to the byte; whatever is not, is named by how much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up_verification import CARD, LEAST, MOST, measured, observed, of_rows
from msgspec.structs import replace

from nanocheck.cli.verify import exit_code
from nanocheck.core.result import Outcome
from nanocheck.report.verify_words import difference
from nanocheck.verify.comparison import compare
from nanocheck.verify.observed import Observed
from nanocheck.verify.record import State

SURPLUS = MOST - LEAST
SIZES = ("allocated_bytes", "reserved_bytes")


def figures(real: Observed, virtual: Observed) -> dict[str, int | None]:
    """Figure -> by how much."""
    return {each.figure: each.by for each in compare(real, virtual, context_surplus_bytes=SURPLUS)}


def test_the_same_figures_are_equal() -> None:
    assert figures(measured(), observed()) == {}


@given(st.sampled_from(SIZES), st.integers(-1 << 30, 1 << 30).filter(bool))
def test_a_single_byte_is_a_difference(field: str, by: int) -> None:
    virtual = observed(**{field: getattr(observed(), field) + by})
    assert figures(measured(), virtual) == {field.removesuffix("_bytes"): by}


@given(st.integers(0, 1), st.sampled_from(("allocated", "reserved")), st.integers(1, 1 << 30))
def test_a_phase_is_named(place: int, kind: str, by: int) -> None:
    phases = list(observed().phases)
    size = getattr(phases[place], f"{kind}_bytes")
    phases[place] = replace(phases[place], **{f"{kind}_bytes": size + by})
    assert figures(measured(), observed(phases=tuple(phases))) == {f"{phases[place].phase} {kind}": by}


def test_a_phase_that_only_one_side_has_is_named() -> None:
    found = figures(measured(), observed(phases=observed().phases[:1]))
    assert found == {"backward allocated": None, "backward reserved": None}


@given(st.integers(0, 4 << 30))
def test_what_cuda_takes_is_right_inside_the_range(context: int) -> None:
    found = figures(measured(context_bytes=context, process_bytes=(600 << 20) + context), observed())
    if LEAST <= context <= MOST:
        assert found == {}
    else:
        by = LEAST - context if context < LEAST else MOST - context
        assert found == {"context": by, "process": by}


@pytest.mark.parametrize(
    ("field", "real", "virtual", "figure"),
    [
        ("attention", "math", "efficient", "attention"),
        ("retries", 0, 2, "retries"),
        ("out_of_memory", "forward of step 0: 5 bytes", "forward of step 1: 5 bytes", "out of memory"),
        ("own_allocated_bytes", 5, 6, "allocated, by the script"),
    ],
)
def test_words_and_counts_differ_too(field: str, real: object, virtual: object, figure: str) -> None:
    assert list(figures(measured(**{field: real}), observed(**{field: virtual}))) == [figure]


def test_what_a_side_cannot_see_and_wall_time_are_no_differences() -> None:
    real = measured(attention="unknown", context_bytes=None, process_bytes=None, seconds=100.0)
    assert figures(real, observed()) == {}


def test_usable_memory_is_a_difference_of_the_card_and_not_of_each_case() -> None:
    """Drivers differ by a few MiB: that must not hide what else the cases say."""
    file = of_rows((measured(usable_bytes=7), observed()), card=replace(CARD, usable_bytes=7))
    assert [row.state for row in file.rows] == [State.EQUAL]
    assert [(each.figure, each.by) for each in file.card_differences] == [("usable", CARD.usable_bytes - 7)]
    assert exit_code(file) == 1


def test_a_failure_of_one_side_is_a_row_with_its_outcome() -> None:
    dead = Observed(provenance=measured().provenance, outcome=Outcome.CRASHED, detail="boom")
    (row,) = of_rows((dead, observed())).rows
    assert row.state is State.DIFFERS
    assert [(each.figure, each.real, each.virtual) for each in row.differences] == [
        ("outcome", "crashed", "completed")
    ]


def test_two_failures_are_no_agreement() -> None:
    dead = Observed(provenance=measured().provenance, outcome=Outcome.TIMEOUT)
    (row,) = of_rows((dead, dead)).rows
    assert row.state is State.NO_ANSWER


def test_a_difference_says_both_values_and_by_how_much() -> None:
    virtual = observed(reserved_bytes=(602 << 20))
    (found,) = compare(measured(), virtual, context_surplus_bytes=SURPLUS)
    said = difference(found, "measured")
    assert "measured 600.00 MiB" in said
    assert "virtual 602.00 MiB" in said
    assert "+2,097,152 bytes" in said
