"""What a number format costs: fp16 is bf16 and a scaler, TF32 is fp32."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import FIELDS, STEP, Laboratory, compare, peak_of

#: Bytes that a GradScaler adds while each phase is at its peak. Between steps it keeps ``_scale`` (fp32) and
#: ``_growth_tracker`` (int32), made by its first ``scale``. A backward starts from the product of the
#: loss and the scale (fp32), and ``unscale_`` keeps ``found_inf`` (fp32) until ``update``.
#: Source: torch/amp/grad_scaler.py. The allocator rounds each of them to 512 bytes (kMinBlockSize in
#: c10/core/AllocatorConfig.h).
SCALER_TENSORS = {"forward": 2, "backward": 3, "optimizer": 3}


@explored()
@given(bases=configurations())
def test_fp16_costs_what_bf16_costs_and_its_scaler(lab: Laboratory, bases: list[StepConfig]) -> None:
    pairs = [(replace(each, dtype="bf16"), replace(each, dtype="fp16")) for each in bases]
    for bf16, fp16 in lab.pairs(pairs):
        for phase, tensors in SCALER_TENSORS.items():
            low, high = peak_of(bf16, phase), peak_of(fp16, phase)
            assert high.requested_bytes == low.requested_bytes + 4 * tensors, (phase, bf16.id, fp16.id)
            assert high.allocated_bytes == low.allocated_bytes + 512 * tensors, (phase, bf16.id, fp16.id)


@explored(long=4)
@given(bases=configurations())
def test_tf32_costs_what_fp32_costs(lab: Laboratory, bases: list[StepConfig]) -> None:
    pairs = [(replace(each, dtype="fp32"), replace(each, dtype="tf32")) for each in bases]
    for fp32, tf32 in lab.pairs(pairs):
        assert fp32.main.peaks == tf32.main.peaks, [compare(fp32, tf32, field) for field in FIELDS]


@explored(long=4)
@given(bases=configurations(cycle="train"))
def test_each_adamw_costs_what_it_keeps_on_the_card(lab: Laboratory, bases: list[StepConfig]) -> None:
    """Fused AdamW has a step counter (fp32) on the card for each tensor; the others have it on the host."""
    pairs = [
        (replace(each, optimizer=other), replace(each, optimizer="adamw-fused"))
        for each in bases
        for other in ("adamw-loop", "adamw-foreach")
    ]
    for other, fused in lab.pairs(pairs):
        layers, bias = fused.config.n_layer, fused.config.bias
        tensors = 3 + 6 * layers + bias * (6 * layers + 1)
        for phase in STEP[:2]:
            low, high = peak_of(other, phase), peak_of(fused, phase)
            assert high.requested_bytes == low.requested_bytes + 4 * tensors, (phase, other.id, fused.id)
            assert high.allocated_bytes == low.allocated_bytes + 512 * tensors, (phase, other.id, fused.id)
