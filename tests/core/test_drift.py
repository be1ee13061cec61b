"""Which neighbours moved is decided by versions and figures, whatever order the releases were asked in."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.drift import Cell, Drift, Move, Release, Row, in_order, neighbours
from nanocheck.core.result import Outcome, Provenance
from nanocheck.core.verdict import Kind

VERSIONS = ("2.8.0", "2.9.1+cu128", "2.10.0", "2.12.1+cu130", "2.13.0")


def cell(version: str, allocated: int, reserved: int, *, known: bool = True) -> Cell:
    return Cell(
        torch=version,
        outcome=Outcome.COMPLETED if known else Outcome.TIMEOUT,
        provenance=Provenance.VIRTUAL if known else Provenance.UNKNOWN,
        verdict=Kind.SAFE if known else Kind.TIMEOUT,
        allocated_bytes=allocated,
        reserved_bytes=reserved,
    )


CELLS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans()),
    min_size=len(VERSIONS),
    max_size=len(VERSIONS),
).map(
    lambda rows: [
        cell(version, allocated, reserved, known=known)
        for version, (allocated, reserved, known) in zip(VERSIONS, rows, strict=True)
    ]
)


@given(CELLS, st.randoms(use_true_random=False))
def test_any_order_gives_the_same_moves(cells: list[Cell], random: object) -> None:
    shuffled = list(cells)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [each.torch for each in in_order(shuffled)] == list(VERSIONS)
    assert neighbours(shuffled) == neighbours(cells)


@given(CELLS)
def test_moves_add_up_to_the_way_from_the_first_to_the_last(cells: list[Cell]) -> None:
    known = [each for each in cells if each.is_answer]
    moves = neighbours(cells)
    assert all(old.is_answer and new.is_answer for old, new in moves)
    assert all(old.torch != new.torch for old, new in moves)
    if known:
        way = sum(new.reserved_bytes - old.reserved_bytes for old, new in moves)
        assert way == known[-1].reserved_bytes - known[0].reserved_bytes


@given(st.integers(0, 9), st.integers(0, 9))
def test_equal_figures_are_no_move(allocated: int, reserved: int) -> None:
    assert neighbours([cell(each, allocated, reserved) for each in VERSIONS]) == []


def table(*sizes: int, verdicts: tuple[Kind, Kind] = (Kind.SAFE, Kind.SAFE)) -> Drift:
    moves = tuple(
        Move(
            before="2.8.0",
            after="2.9.0",
            allocated_bytes=0,
            reserved_bytes=size,
            verdicts=verdicts,
            phase="backward",
        )
        for size in sizes
    )
    row = Row(
        name="a",
        is_configuration=False,
        gpu="rtx4070",
        card="a card",
        capability="8.9",
        cells=(cell("2.8.0", 1, 1), cell("2.9.0", 1, 1, known=False)),
        moves=moves,
    )
    releases = (Release(torch="2.8.0"), Release(torch="2.9.0"))
    return Drift(nanocheck="0", date="2026-01-01", asked="nanocheck drift", releases=releases, rows=(row,))


def test_a_fall_counts_as_a_rise_does() -> None:
    assert len(table(5, -5).moved(4)) == 2
    assert table(5, -5).moved(5) == ()


def test_another_verdict_counts_whatever_the_bytes() -> None:
    assert len(table(1, verdicts=(Kind.SAFE, Kind.TIGHT)).moved(1 << 30)) == 1


def test_what_has_no_answer_is_named() -> None:
    assert [each.torch for _, each in table(1).unanswered] == ["2.9.0"]


def test_a_table_comes_out_of_its_json_as_it_was() -> None:
    found = table(1, 2)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Drift) == found
