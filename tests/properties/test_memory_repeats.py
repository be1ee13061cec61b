"""The same again gives the same again: runs, seeds, steps; and expandable segments waste nothing."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import FIELDS, STEP, Laboratory, compare, peak_bytes, peak_of


@explored(long=4)
@given(configs=configurations(), data=st.data())
def test_the_order_of_runs_changes_no_byte(
    lab: Laboratory, configs: list[StepConfig], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(configs))
    once = dict(zip([each.id for each in configs], lab.results(configs), strict=True))
    for again in lab.results(shuffled, again=1):
        first = once[again.id]
        assert msgspec.structs.replace(again, seconds={}) == msgspec.structs.replace(first, seconds={})


@explored(long=4)
@given(bases=configurations(), seed=st.integers(0, 2**32))
def test_the_seed_changes_no_byte(lab: Laboratory, bases: list[StepConfig], seed: int) -> None:
    """What is computed does not depend on what is in the tensors."""
    for one, other in lab.pairs([(each, replace(each, seed=seed)) for each in bases]):
        assert one.main.peaks == other.main.peaks, [compare(one, other, field) for field in FIELDS]


@explored()
@given(configs=configurations())
def test_from_the_second_step_on_all_steps_ask_for_the_same(
    lab: Laboratory, configs: list[StepConfig]
) -> None:
    for result in lab.results(configs):
        for phase in STEP:
            before, after = (peak_of(result, phase, step) for step in (1, 2))
            assert before.requested_bytes == after.requested_bytes, (phase, result.id)
            if result.config.allocator == "expandable":
                assert before.allocated_bytes == after.allocated_bytes, (phase, result.id)


@explored(long=30)
@given(configs=configurations())
def test_no_later_step_raises_the_peak_of_any_phase(lab: Laboratory, configs: list[StepConfig]) -> None:
    """Where a configuration ends is where it may end: forty steps reach no more, in any phase of a step."""
    for stopped, forty in zip(lab.results(configs), lab.results(configs, steps=40), strict=True):
        before, after = (each.main.phase_peaks() for each in (stopped, forty))
        assert [before[phase] for phase in STEP] == [after[phase] for phase in STEP], stopped.id


@explored()
@given(bases=configurations())
def test_expandable_segments_never_allocate_more(lab: Laboratory, bases: list[StepConfig]) -> None:
    """They ask for the same and split exactly. About reserved bytes nothing of the kind holds."""
    pairs = [(replace(each, allocator="default"), replace(each, allocator="expandable")) for each in bases]
    for default, expandable in lab.pairs(pairs):
        for phase in STEP:
            low, high = peak_of(expandable, phase), peak_of(default, phase)
            assert low.requested_bytes == high.requested_bytes, (phase, default.id)
            assert low.allocated_bytes <= high.allocated_bytes, (phase, default.id)


@explored(long=4)
@given(configs=configurations())
def test_requested_allocated_and_reserved_are_in_order(lab: Laboratory, configs: list[StepConfig]) -> None:
    for result in lab.results(configs):
        requested, allocated, reserved = (peak_bytes(result, field) for field in FIELDS)
        assert requested <= allocated <= reserved, result.id
        assert reserved % (2 << 20) == 0, result.id
