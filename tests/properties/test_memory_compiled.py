"""The same laws for ``torch.compile``; in the long profile only, since each configuration compiles anew.

From the second step on: the first one also holds what Inductor times its kernels with.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored, is_long
from properties.laboratory import STEP, Laboratory, peak_of
from properties.test_memory_dtypes import SCALER_TENSORS

pytestmark = pytest.mark.skipif(not is_long(), reason="compiles for minutes: pytest --properties long")


@explored(long=2)
@given(bases=configurations(long=3, compile="default", cycle="train"), more=st.integers(1, 10))
def test_compiled_steps_keep_the_laws_too(lab: Laboratory, bases: list[StepConfig], more: int) -> None:
    """fp16 costs bf16 and a scaler; more than two micro-batches, evaluation and saving cost nothing."""
    bases = [replace(each, dtype="bf16", accumulation=2) for each in bases]
    for bf16, fp16 in lab.pairs([(each, replace(each, dtype="fp16")) for each in bases]):
        for phase, tensors in SCALER_TENSORS.items():
            low, high = (peak_of(each, phase).requested_bytes for each in (bf16, fp16))
            assert high == low + 4 * tensors, (phase, bf16.id)
    others = [replace(each, accumulation=2 + more, cycle="full") for each in bases]
    for two, many in lab.pairs(list(zip(bases, others, strict=True))):
        for phase in STEP:
            low, high = (peak_of(each, phase).requested_bytes for each in (two, many))
            assert low == high, (phase, two.id, many.id)
