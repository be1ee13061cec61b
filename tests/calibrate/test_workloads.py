"""The workloads themselves: what they say they are is what they are."""

from __future__ import annotations

import pytest

from nanocheck.calibrate.workloads import Workload, workloads
from nanocheck.core.kernels import KernelKind
from nanocheck.core.units import GIB

WORKLOADS = workloads()


def named(name: str) -> Workload:
    (found,) = [each for each in WORKLOADS if each.id == name]
    return found


def test_ids_are_unique_and_every_kind_that_a_card_decides_is_there() -> None:
    assert len({each.id for each in WORKLOADS}) == len(WORKLOADS)
    kinds = {each.kernel.kind for each in WORKLOADS if each.kernel is not None}
    # A reduction and generated code are streams; to wait is the host's.
    assert kinds == set(KernelKind) - {KernelKind.REDUCTION, KernelKind.TRITON, KernelKind.WAIT}


@pytest.mark.parametrize("each", [each for each in WORKLOADS if each.kernel], ids=lambda each: each.id)
def test_operations_follow_from_the_sizes(each: Workload) -> None:
    kernel = each.kernel
    assert kernel is not None
    if kernel.product is not None:
        sizes = kernel.product
        assert kernel.operations == 2 * sizes.m * sizes.n * sizes.k
    elif kernel.attention is not None:
        sizes = kernel.attention
        pairs = sizes.queries * sizes.keys / 2  # the half that a causal mask leaves
        products = 5 if sizes.backward else 2
        assert kernel.operations == products * 2 * sizes.batch * sizes.heads * pairs * sizes.head
    else:
        assert kernel.operations == 0
        assert kernel.read + kernel.written > 0


def test_a_heads_three_products_compute_the_same() -> None:
    for word in ("padded", "odd"):
        kernels = [named(f"head-{word}{part}").kernel for part in ("", "-input", "-weight")]
        assert len({each.operations for each in kernels if each is not None}) == 1


def test_everything_fits_a_card_of_six_gib() -> None:
    assert max(each.needs_bytes for each in WORKLOADS) < 4 * GIB
