"""Computing activations again instead of keeping them: what is kept only shrinks."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import Laboratory, compare, peak_bytes, peak_of


@explored()
@given(bases=configurations())
def test_what_a_forward_keeps_shrinks(lab: Laboratory, bases: list[StepConfig]) -> None:
    """The activations are what a forward's peak has beside what was there before it."""
    pairs = [
        (replace(each, checkpointing=more), replace(each, checkpointing=less))
        for each in bases
        for more, less in (("none", "selective"), ("selective", "block"))
    ]
    for more, less in lab.pairs(pairs):
        low, high = (peak_of(each, "forward").requested_bytes for each in (less, more))
        assert low <= high, (low, high, compare(more, less, "requested_bytes"))


@explored()
@given(bases=configurations())
def test_whole_blocks_never_raise_the_peak(lab: Laboratory, bases: list[StepConfig]) -> None:
    """Not so for ``selective``: see ``test_findings``."""
    for plain, again in lab.pairs([(each, replace(each, checkpointing="block")) for each in bases]):
        assert plain.config.checkpointing == "none"
        low, high = (peak_bytes(each, "requested_bytes") for each in (again, plain))
        assert low <= high, compare(plain, again, "requested_bytes")
        # Nothing of the activations is left when the optimizer steps.
        low, high = (peak_of(each, "optimizer").requested_bytes for each in (again, plain))
        assert low == high, plain.id
