"""A run's life: evaluation and saving cost nothing at the peak, resuming costs the weights once more."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import FIELDS, STEP, Laboratory, compare, peak_bytes, peak_of
from properties.test_memory_resident import parameter_sizes, rounded


@explored()
@given(bases=configurations())
def test_resuming_keeps_the_loaded_weights_too(lab: Laboratory, bases: list[StepConfig]) -> None:
    """Not the same peak as the first run: nanoGPT binds ``state_dict = checkpoint["model"]`` and never lets
    it go, so a resumed run holds 4 bytes more per parameter until it ends. Where AdamW is not fused, its
    step counters (fp32, one per tensor) come back on the card, since they were loaded there.

    Source: nanoGPT's train.py; ``Optimizer._process_value_according_to_param_policy``.
    """
    pairs = [(replace(each, cycle="train"), replace(each, cycle="resume")) for each in bases]
    for first, resumed in lab.pairs(pairs):
        sizes = [4 * each for each in parameter_sizes(first.config)]
        counters = [] if first.config.optimizer == "adamw-fused" else [4] * len(sizes)
        for phase in STEP[:2]:
            low, high = peak_of(first, phase), peak_of(resumed, phase)
            assert high.requested_bytes - low.requested_bytes == sum(sizes + counters), (phase, first.id)
            if first.config.allocator == "expandable":
                assert high.allocated_bytes - low.allocated_bytes == rounded(sizes + counters), first.id


@explored()
@given(bases=configurations())
def test_evaluating_and_saving_never_raise_the_peak(lab: Laboratory, bases: list[StepConfig]) -> None:
    pairs = [(replace(each, cycle="train"), replace(each, cycle="full")) for each in bases]
    for plain, full in lab.pairs(pairs):
        # By what the allocator's blocks look like, an evaluation can move what later steps reserve.
        fields = FIELDS[:2] if plain.config.allocator == "expandable" else FIELDS[:1]
        for field in fields:
            assert peak_bytes(plain, field) == peak_bytes(full, field), compare(plain, full, field)
