"""Which block served each request, against a model of the allocator that knows it."""

from __future__ import annotations

import msgspec
import pytest
from allocator_blocks import MIB, TieOrder
from hypothesis import given
from hypothesis import strategies as st
from made_up_requests import EMPTY_CACHE, Program, log_of, observation

from nanocheck.attribution.replay import Replay
from nanocheck.core.request_log import RequestLog

ORDERS: tuple[TieOrder, ...] = ("address", "creation", "segment")
SIZES = st.sampled_from([1, 700, MIB, MIB + 1, 3 * MIB, 10 * MIB, 24 * MIB, 96 * MIB])


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Requests, and some of them let go again."""
    found: list[int] = []
    made = 0
    for _ in range(draw(st.integers(1, 40))):
        if made and draw(st.booleans()):
            found.append(-1 - draw(st.integers(0, made - 1)))
        elif draw(st.integers(0, 9)) == 0:
            found.append(EMPTY_CACHE)
        else:
            found.append(draw(SIZES))
            made += 1
    return found


@given(programs(), st.sampled_from(ORDERS))
def test_the_segments_held_at_the_peak_are_what_was_reserved(program: Program, order: TieOrder) -> None:
    seen = observation(program, order)
    replay = Replay().feed(seen.events)
    log = log_of(program, order)
    assert replay.surprises == 0
    assert log.reserved_bytes == max((reserved for _, reserved in replay.levels), default=0)
    assert log.held_bytes == log.reserved_bytes


@given(programs(), st.sampled_from(ORDERS))
def test_each_request_has_its_block_and_its_end(program: Program, order: TieOrder) -> None:
    log = log_of(program, order)
    wanted = [each for each in program if each > 0]
    assert [each.requested_bytes for each in log.requests] == wanted
    made = 0
    seen = observation(program, order)
    levels = Replay().feed(seen.events).levels
    allocated = [level for (action, *_), (level, _) in zip(seen.events, levels, strict=True) if action == "a"]
    for number, request in enumerate(log.requests):
        segment = log.segments[request.segment]
        assert 0 <= request.offset_bytes <= segment.bytes - request.block_bytes
        assert (segment.request == number) == bool(request.made_bytes)
        # Where the driver was asked, no free block would have done.
        assert not request.made_bytes or request.largest_free_bytes < request.block_bytes
        made += request.made_bytes
        alive = [each for each in log.requests[: number + 1] if each.until == -1 or each.until > number]
        assert sum(each.block_bytes for each in alive) == allocated[number]
        places = [(each.segment, each.offset_bytes) for each in alive]
        assert len(places) == len(set(places))  # no two live in one place
    assert made == sum(each.bytes for each in log.segments)


@given(programs())
def test_a_packed_log_comes_out_as_it_was(program: Program) -> None:
    log = log_of(program, "address")
    assert RequestLog.unpacked(log.packed()) == log
    assert msgspec.json.decode(msgspec.json.encode(log), type=RequestLog) == log


@pytest.mark.parametrize("text", ["", "no log", "c$~{Oc-Lp0"])
def test_what_is_no_packed_log_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no request log"):
        RequestLog.unpacked(text)


def test_nothing_seen_is_an_empty_log() -> None:
    assert log_of([], "address").requests == ()
