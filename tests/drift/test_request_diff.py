"""What parts two releases that are asked for the same, on made-up programs and on logs of real releases."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from allocator_blocks import MIB, TieOrder
from hypothesis import given
from hypothesis import strategies as st
from made_up_requests import EMPTY_CACHE, Program, log_of

from nanocheck.core.request_log import Line, Request, RequestLog
from nanocheck.drift.request_diff import RequestDiff

ORDERS: tuple[TieOrder, ...] = ("address", "creation", "segment")
DATA = Path(__file__).parent / "requests"


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Requests of few sizes, so that free blocks are equal, which is where the releases differ."""
    found: list[int] = []
    made = 0
    for _ in range(draw(st.integers(1, 60))):
        if made and draw(st.booleans()):
            found.append(-1 - draw(st.integers(0, made - 1)))
        elif draw(st.integers(0, 9)) == 0:
            found.append(EMPTY_CACHE)
        else:
            found.append(draw(st.sampled_from([3, 8, 24, 96])) * MIB)
            made += 1
    return found


@given(programs(), st.sampled_from(ORDERS), st.sampled_from(ORDERS))
def test_segments_add_up_to_the_move(program: Program, one: TieOrder, other: TieOrder) -> None:
    before, after = log_of(program, one), log_of(program, other)
    diff = RequestDiff(before, after)
    more = sum((each.after_count - each.before_count) * each.segment_bytes for each in diff.segments)
    assert more == after.reserved_bytes - before.reserved_bytes
    if before.reserved_bytes != after.reserved_bytes:
        assert diff.first_other() is not None
        decisive = diff.decisive()
        assert decisive is not None
        rise = after.reserved_bytes - before.reserved_bytes
        assert (decisive.after.made_bytes - decisive.before.made_bytes) * rise > 0


@given(programs(), programs())
def test_segments_add_up_whatever_the_programs_are(program: Program, other: Program) -> None:
    """Memory that was given back before the peak is in none of them."""
    before, after = log_of(program, "address"), log_of([*other, EMPTY_CACHE, *program], "address")
    more = sum(
        (each.after_count - each.before_count) * each.segment_bytes
        for each in RequestDiff(before, after).segments
    )
    assert more == after.reserved_bytes - before.reserved_bytes


@given(programs(), st.sampled_from(ORDERS))
def test_equal_logs_part_nowhere(program: Program, order: TieOrder) -> None:
    log = log_of(program, order)
    diff = RequestDiff(log, log)
    assert diff.segments == ()
    assert (diff.first_other(), diff.decisive(), diff.in_the_way()) == (None, None, ())


@given(programs(), st.sampled_from(ORDERS), st.sampled_from(ORDERS))
def test_the_way_back_is_the_same_turned_around(program: Program, one: TieOrder, other: TieOrder) -> None:
    before, after = log_of(program, one), log_of(program, other)
    there, back = RequestDiff(before, after), RequestDiff(after, before)
    turned = [
        (each.where, each.segment_bytes, each.after_count, each.before_count) for each in there.segments
    ]
    assert turned == [
        (each.where, each.segment_bytes, each.before_count, each.after_count) for each in back.segments
    ]
    mine, theirs = there.decisive(), back.decisive()
    assert (mine is None) == (theirs is None)
    if mine is not None and theirs is not None:
        assert (mine.before, mine.after) == (theirs.after, theirs.before)


@given(programs(), st.sampled_from(ORDERS), st.data())
def test_a_request_that_only_one_release_makes_hides_no_other(
    program: Program, order: TieOrder, data: st.DataObject
) -> None:
    """A small tensor more in one release, as flash attention of torch 2.14 makes them."""
    log = log_of(program, order)
    at = data.draw(st.integers(0, len(log.requests) - 1)) if log.requests else 0
    fewer = RequestLog(
        phases=log.phases,
        lines=log.lines,
        requests=log.requests[:at] + log.requests[at + 1 :],
        segments=log.segments,
        reserved_bytes=log.reserved_bytes,
        peak_request=log.peak_request,
    )
    assert len(RequestDiff(fewer, log)._pairs) == len(fewer.requests)


def test_what_went_the_other_way_decides_nothing() -> None:
    """One large segment fewer, and three small ones more than outweigh it."""

    def log(*made: int) -> RequestLog:
        requests = [
            Request(
                line=0, phase=0, step=0, requested_bytes=size, block_bytes=size, segment=-1, offset_bytes=0
            )
            for size in (96 * MIB, 40 * MIB, 39 * MIB, 38 * MIB)
        ]
        made_by = [
            msgspec.structs.replace(each, made_bytes=size) for each, size in zip(requests, made, strict=True)
        ]
        return RequestLog(
            phases=("forward",),
            lines=(Line(),),
            requests=tuple(made_by),
            reserved_bytes=sum(made),
            peak_request=3,
        )

    decisive = RequestDiff(log(96 * MIB, 0, 0, 0), log(0, 40 * MIB, 39 * MIB, 38 * MIB)).decisive()
    assert decisive is not None
    assert decisive.requested_bytes == 40 * MIB


def real(version: str) -> RequestLog:
    """GPT-2 124M, fp32, batch 8 x 2, on a virtual RTX 4090: everything up to the second step's end."""
    return RequestLog.unpacked((DATA / f"torch-{version}.txt").read_text())


@pytest.fixture(scope="module")
def known() -> RequestDiff:
    return RequestDiff(real("2.11.0"), real("2.12.1"))


def test_torch_2_12_1_reserves_the_logits_once_more(known: RequestDiff) -> None:
    (segment,) = known.segments
    logits = 8 * 1024 * 50304 * 4
    assert (segment.segment_bytes, segment.before_count, segment.after_count) == (logits, 3, 4)
    decisive = known.decisive()
    assert decisive is not None
    assert (decisive.phase, decisive.steps, decisive.requested_bytes) == ("backward", (1, 1), logits)
    assert (decisive.before.made_bytes, decisive.after.made_bytes) == (0, logits)
    assert decisive.after.largest_free_bytes is not None
    assert decisive.after.largest_free_bytes < logits


def test_what_is_in_the_way_is_followed_to_the_small_tensor_that_began_it() -> None:
    """Loss and logits took each other's segments, since 24 MiB of a block lie in one that was whole."""
    way = RequestDiff(real("2.13.0"), real("2.12.1")).in_the_way()
    assert [(each.where or "").rpartition("/")[2].partition(":")[0] for each in way] == [
        "loss.py",
        "loss.py",
        "model.py",
    ]
    assert [each.requested_bytes for each in way] == [8 * 1024 * 50304 * 4] * 2 + [8 * 1024 * 768 * 4]
    for each in way:
        assert each.before.segment_number != each.after.segment_number


def test_neighbours_of_the_odd_release_agree() -> None:
    assert RequestDiff(real("2.11.0"), real("2.13.0")).segments == ()
