"""What must hold of an estimate whatever the kernels and the card are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing_kernels import (
    CARDS,
    cards,
    kernels,
    memory_kernel,
    product_kernel,
    step,
    steps,
)

from nanocheck.core.kernels import Kernel, KernelKind, KernelList, Part
from nanocheck.core.result import Provenance
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate

#: What is found by halving is exact to this.
NEARLY = 1 + 1e-3


@given(steps, cards)
def test_no_estimate_beats_its_floors_and_no_mfu_is_above_one(kernels: KernelList, card: Card) -> None:
    found = estimate(kernels, card)
    compute = sum(one.operations * n / card.peak(one.dtype) for one, n in kernels if one.operations)
    assert found.floor_operations == pytest.approx(compute)
    assert found.seconds >= max(found.floor_operations, found.floor_memory)
    assert 0 <= found.mfu_exact <= 1
    assert found.provenance is Provenance.MODELLED


@given(steps, kernels, cards)
def test_one_more_kernel_never_makes_a_step_faster(kernels: KernelList, more: Kernel, card: Card) -> None:
    longer = KernelList(
        parts=(*kernels.parts, Part(name="more", kernels=(more,))), torch="test", capability=(8, 0)
    )
    assert estimate(longer, card).seconds * NEARLY >= estimate(kernels, card).seconds


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 1000), st.integers(0, 2), cards)
def test_twice_the_product_never_takes_less(m: int, n: int, k: int, which: int, card: Card) -> None:
    sizes = [8 * m, 8 * n, 8 * k]
    once = estimate(step(([product_kernel(*sizes)], 1)), card).seconds
    sizes[which] *= 2
    assert estimate(step(([product_kernel(*sizes)], 1)), card).seconds * NEARLY >= once


@given(steps, cards)
def test_a_card_of_twice_everything_is_no_slower(kernels: KernelList, card: Card) -> None:
    double = replace(
        card,
        sms=2 * card.sms,
        tensor_tflops=card.tensor_tflops and 2 * card.tensor_tflops,
        bandwidth_gb_s=2 * card.bandwidth_gb_s,
        l2_bytes=2 * card.l2_bytes,
        tgp_w=2 * card.tgp_w,
    )
    # Fewer waves leave a larger part of the last one idle, and split sums find other ways: at most a wave.
    assert estimate(kernels, double).seconds <= estimate(kernels, card).seconds * 1.02


@given(st.lists(kernels, min_size=1, max_size=6), st.integers(2, 50), cards)
def test_seconds_go_with_the_number_of_micro_batches(some: list[Kernel], times: int, card: Card) -> None:
    one, two = (estimate(step((some, count)), card).seconds for count in (times, 2 * times))
    assert two == pytest.approx(2 * one)


@given(steps, cards, st.floats(1e-6, 10), st.floats(1, 4))
def test_a_slower_host_never_makes_it_faster(
    kernels: KernelList, card: Card, host: float, slower: float
) -> None:
    alone = estimate(kernels, card).seconds
    quick, slow = (estimate(kernels, card, host_seconds=each).seconds for each in (host, host * slower))
    assert alone <= quick * (1 + 1e-9)
    assert quick <= slow * (1 + 1e-9)
    assert slow * (1 + 1e-9) >= host * slower


@settings(max_examples=20)
@given(steps, cards)
def test_the_same_question_has_the_same_answer(kernels: KernelList, card: Card) -> None:
    from nanocheck.timing.product import product_seconds

    first = estimate(kernels, card, host_seconds=0.01)
    product_seconds.cache_clear()
    assert estimate(kernels, card, host_seconds=0.01) == first


@given(steps, cards)
def test_shares_are_of_a_whole(kernels: KernelList, card: Card) -> None:
    found = estimate(kernels, card)
    assert sum(one.share for one in found.kinds) == pytest.approx(1)
    assert sum(one.seconds for one in found.kinds) == pytest.approx(found.card_seconds)
    assert [one.seconds for one in found.kinds] == sorted((one.seconds for one in found.kinds), reverse=True)


def test_a_wait_leaves_the_card_idle_while_the_host_catches_up() -> None:
    card = next(card for card in CARDS if card.id == "rtx4070")
    work = [memory_kernel(KernelKind.ELEMENTWISE, 2**26, 2 * at) for at in range(20)]
    wait = Kernel(kind=KernelKind.WAIT, name="item", phase="forward", dtype="float32")
    host = 2e-3  # for 20 launches, or 20 and 10 waits: the card needs more
    free = estimate(step((work, 4)), card, host_seconds=host)
    held = estimate(step(([each for one in work for each in (one, wait)], 4)), card, host_seconds=host)
    assert free.decided_by == "card"
    assert held.seconds > free.seconds


def test_what_decides_is_said() -> None:
    card = next(card for card in CARDS if card.id == "h100")
    work = step(([product_kernel(4096, 4096, 4096)], 10))
    assert estimate(work, card).decided_by == "card"
    bound = estimate(work, card, host_seconds=1.0)
    assert bound.decided_by == "host"
    assert bound.interval is None
    assert bound.no_interval
    assert bound.seconds >= 1.0


def test_nothing_takes_no_time() -> None:
    found = estimate(KernelList(parts=(), torch="test", capability=(8, 0)), CARDS[0])
    assert found.seconds == 0
    assert found.kinds == ()
