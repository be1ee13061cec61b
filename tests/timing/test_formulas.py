"""Lists of kernels written down by formula, against lists recorded from the same models."""

from __future__ import annotations

import gzip
from collections import Counter

import msgspec
import pytest

from nanocheck.core.kernels import KernelKind, KernelList

#: What takes the time of such a step; gathers and single launches over vectors are the rest.
HEAVY = (KernelKind.PRODUCT, KernelKind.ELEMENTWISE, KernelKind.REDUCTION)


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_the_formula_of_cs336_is_the_recorded_step(script, dtype: str) -> None:
    cs336, record = script("cs336"), script("record_cs336")
    file = record.LISTS / f"cs336-2layers-t512-{dtype}.json.gz"
    recorded = msgspec.json.decode(gzip.decompress(file.read_bytes()), type=KernelList)
    formula = cs336.kernel_list(
        cs336.Cs336(
            layers=record.LAYERS,
            width=record.WIDTH,
            heads=record.HEADS,
            ff=4 * record.WIDTH,
            vocab=record.VOCAB,
            context=512,
            batch=record.BATCH,
            segment="step",
            dtype={"bf16": "bfloat16", "fp32": "float32"}[dtype],
        )
    )
    real, ours = _moved(recorded), _moved(formula)
    assert {key for key in real if key[1] in HEAVY} == {key for key in ours if key[1] in HEAVY}
    for key, moved in real.items():
        if key[1] in HEAVY:
            assert ours[key] == pytest.approx(moved, rel=0.002), key
    assert sum(ours.values()) == pytest.approx(sum(real.values()), rel=0.01)
    assert _products(formula) == _products(recorded)
    assert _launches(formula) == pytest.approx(_launches(recorded), rel=0.05)


def test_the_written_optimizer_is_the_recorded_one(script) -> None:
    """Recorded from cs336_basics/optimizer.py with the model above: kernels, and bytes through memory."""
    cs336 = script("cs336")
    model = cs336.Cs336(
        layers=2, width=768, heads=12, ff=3072, vocab=10000, context=256, batch=4,
        dtype="float32", segment="step", variant=cs336.Variant(optimizer="written"),
    )  # fmt: skip
    update = cs336.kernel_list(model).parts[-1].kernels
    assert sum(one.launches for one in update) == 336
    assert sum(one.read + one.written for one in update) == 4_793_349_120


def _moved(kernels: KernelList) -> Counter[tuple[str, KernelKind]]:
    found: Counter[tuple[str, KernelKind]] = Counter()
    for one, times in kernels:
        found[one.phase, one.kind] += (one.read + one.written) * times
    return found


def _products(kernels: KernelList) -> Counter[tuple[tuple[int, ...], str]]:
    return Counter(
        ((*sorted((one.product.m, one.product.n, one.product.k)), one.product.batch), one.dtype)
        for one, _ in kernels
        if one.product
    )


def _launches(kernels: KernelList) -> int:
    return sum(one.launches * times for one, times in kernels if one.phase != "optimizer")
