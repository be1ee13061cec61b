"""Which of the card's bytes are known, against the rules that csrc/values/known.c states, byte by byte."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_calls import call

UNIT, UNITS = 512, 40

#: Where, how many bytes, and whether they are written (or lost); often of whole units, and of many.
_places = st.integers(0, UNITS).map(lambda unit: unit * UNIT) | st.integers(0, UNITS * UNIT - 1)
_ranges = st.tuples(_places, _places, st.booleans()).map(
    lambda drawn: (min(drawn[:2]), max(drawn[:2]) - min(drawn[:2]), drawn[2])
)


def lengths(steps: list[tuple[int, int, bool]]) -> list[int]:
    """Of each unit, how many bytes from its start are known."""
    known = [0] * UNITS
    for start, size, writes in steps:
        for unit in range(UNITS):
            first, last = max(start - unit * UNIT, 0), min(start + size - unit * UNIT, UNIT)
            if first < last:
                known[unit] = min(known[unit], first)
                if writes and known[unit] >= first:
                    known[unit] = last
    return known


@given(shift=st.integers(0, 7), alone=st.sets(st.integers(0, UNITS - 1)), then=st.lists(_ranges, max_size=3))
@settings(max_examples=20)
def test_what_is_lost_and_written_is_told_of_each_unit(
    shift: int, alone: set[int], then: list[tuple[int, int, bool]]
) -> None:
    """Several units are looked at together: wherever a tensor starts, none is forgotten."""
    steps = [*((unit * UNIT, UNIT, True) for unit in alone), *then]
    code = f"""
        import bisect, json
        whole = c_void_p(); gpu.cudaMalloc(byref(whole), c_size_t({(UNITS + 8) * UNIT}))
        p = whole.value + {shift * UNIT}
        for start, size, writes in json.loads({json.dumps(steps)!r}):
            if writes: gpu.nanocheck_computed(c_void_p(p + start), c_size_t(size), 0)
            else: gpu.nanocheck_lost(c_void_p(p + start), c_size_t(size))
        def known(at):
            unknown = lambda size: not gpu.nanocheck_known(at, at, size)
            return bisect.bisect(range(1, {UNIT} + 1), 0, key=unknown)
        print(json.dumps([known(p + {UNIT} * each) for each in range({UNITS})]))
    """
    assert json.loads(call(code)) == lengths(steps)


def test_a_unit_known_alone_is_lost_with_all_around_it_and_kept_beside_what_is_lost() -> None:
    code = f"""
        p = c_void_p(); gpu.cudaMalloc(byref(p), c_size_t({UNITS * UNIT}))
        at = lambda unit: c_void_p(p.value + unit * {UNIT})
        wrong = []
        for first in range(4):
            for alone in range(4, 12):
                for last in (12, 13, 14, 15, alone):
                    gpu.nanocheck_computed(at(alone), c_size_t({UNIT}), 0)
                    gpu.nanocheck_lost(at(first), c_size_t((last - first) * {UNIT}))
                    if bool(gpu.nanocheck_known(at(alone), at(alone), 1)) != (last == alone):
                        wrong.append((first, alone, last))
        print(wrong)
    """
    assert call(code) == "[]"
