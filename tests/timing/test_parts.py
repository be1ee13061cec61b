"""Products, attention, memory and power, each by what is known of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from timing_kernels import CARDS, DTYPES, cards, memory_kernel, product_kernel

from nanocheck.core.kernels import KernelKind, KernelList, Part, Product
from nanocheck.timing import constants
from nanocheck.timing.card import Card
from nanocheck.timing.kernel_time import gap_seconds, moving_seconds
from nanocheck.timing.memory import Cache
from nanocheck.timing.power import Load, fed
from nanocheck.timing.product import issue, joules_each, product_seconds, speed
from nanocheck.timing.queue import timed

KNOWN = constants.load()


def card(name: str) -> Card:
    return next(one for one in CARDS if one.id == name)


def test_geforce_runs_at_half_rate_and_its_relatives_do_not() -> None:
    half = {one.id for one in CARDS if one.half_rate}
    assert {"rtx3090", "rtx4070", "rtx4090", "rtx5090", "a10g"} <= half
    assert not half & {"l4", "l40s", "rtxpro6000", "a100-80gb", "h100", "t4"}


@given(cards, st.sampled_from(DTYPES), st.floats(0.1, 1))
def test_less_power_is_never_faster_and_never_dearer(one: Card, dtype: str, part: float) -> None:
    less = replace(one, tgp_w=one.tgp_w * part)
    assert speed(less, dtype, KNOWN) <= speed(one, dtype, KNOWN) <= issue(one, dtype, KNOWN)
    assert joules_each(less, dtype, KNOWN) <= joules_each(one, dtype, KNOWN)


@given(cards, st.sampled_from(DTYPES))
def test_products_alone_draw_at_most_what_the_board_has(one: Card, dtype: str) -> None:
    watts = speed(one, dtype, KNOWN) * joules_each(one, dtype, KNOWN)
    assert watts <= (1 - KNOWN["idle_power"]) * one.tgp_w * (1 + 1e-9)


def test_memory_between_them_lets_products_run_above_what_they_sustain() -> None:
    l4 = card("l4")
    big = product_kernel(8192, 8192, 8192)
    alone = fed(l4, [(Load(kernel=big, moving=0.0, resting=0.0), 1)], KNOWN)
    copy = memory_kernel(KernelKind.ELEMENTWISE, 2**32)
    load = Load(kernel=copy, moving=moving_seconds(l4, copy, 0, KNOWN), resting=gap_seconds(copy, KNOWN))
    mixed = fed(l4, [(Load(kernel=big, moving=0.0, resting=0.0), 1), (load, 1)], KNOWN)
    assert speed(alone, "bfloat16", KNOWN) == pytest.approx(speed(l4, "bfloat16", KNOWN), rel=0.1)
    assert speed(mixed, "bfloat16", KNOWN) > 1.05 * speed(alone, "bfloat16", KNOWN)


def test_a_card_with_watts_to_spare_is_left_as_it_is() -> None:
    big = product_kernel(8192, 8192, 8192)
    assert fed(card("rtx4090"), [(Load(kernel=big, moving=0.0, resting=0.0), 1)], KNOWN) == card("rtx4090")


def test_one_tile_more_than_multiprocessors_is_a_wave_more() -> None:
    h100 = card("h100")
    fits = product_seconds(h100, Product(m=256, n=128 * 132, k=4096), "bfloat16", KNOWN)
    over = product_seconds(h100, Product(m=256, n=128 * 133, k=4096), "bfloat16", KNOWN)
    assert over > 1.1 * fits


def test_an_odd_vocabulary_costs_more_than_a_padded_one() -> None:
    odd, padded = (
        product_seconds(card("h100"), Product(m=8192, n=n, k=768), "bfloat16", KNOWN) for n in (50257, 50304)
    )
    assert odd > padded


def test_l2_serves_what_was_just_written_and_nothing_else() -> None:
    one = card("rtx4090")
    cache = Cache(one, KNOWN)
    small, large = 2**20, int(one.l2_bytes)
    writes = memory_kernel(KernelKind.ELEMENTWISE, small, storage=1)  # reads 1, writes 2
    reads = memory_kernel(KernelKind.ELEMENTWISE, small, storage=2)
    flood = memory_kernel(KernelKind.ELEMENTWISE, large, storage=10)
    assert cache.hits(writes) == 0
    assert cache.hits(reads) == small
    cache.hits(flood)
    assert cache.hits(reads) == 0


def test_a_repeated_part_finds_l2_as_it_left_it() -> None:
    kernel = memory_kernel(KernelKind.ELEMENTWISE, 2**20)
    times = {}
    for count in (1, 2):
        part = Part(name="p", kernels=(kernel,), times=count)
        times[count] = timed(
            card("rtx4090"), KernelList(parts=(part,), torch="test", capability=(8, 9)), KNOWN
        )[0][0]
    assert times[2].missed < times[1].missed
    assert times[2].seconds < times[1].seconds


@given(st.integers(2**20, 2**34), st.sampled_from((KernelKind.NORM, KernelKind.SOFTMAX)), cards)
@example(2**20, KernelKind.NORM, card("b200"))
def test_norms_are_never_faster_than_copies(size: int, kind: KernelKind, one: Card) -> None:
    copied = moving_seconds(one, memory_kernel(KernelKind.ELEMENTWISE, size), 0, KNOWN)
    assert moving_seconds(one, memory_kernel(kind, size), 0, KNOWN) >= copied


@given(cards, st.sampled_from([KernelKind.ELEMENTWISE, KernelKind.REDUCTION]))
def test_a_multiprocessor_has_only_so_many_bytes_under_way(one: Card, kind: KernelKind) -> None:
    size = 2**32
    rate = 2 * size / moving_seconds(one, memory_kernel(kind, size), 0, KNOWN)
    most = KNOWN["sm_bytes_a_clock"] * one.sms * one.boost_mhz * 1e6
    assert rate <= most * (1 + 1e-9)
    wider = replace(one, bandwidth_gb_s=one.bandwidth_gb_s * 8)
    bound = 2 * size / moving_seconds(wider, memory_kernel(kind, size), 0, KNOWN)
    assert bound == pytest.approx(min(most, 8 * KNOWN[f"copy {one.memory}"] * one.bandwidth))


@given(cards)
def test_only_geforce_issues_above_its_rated_clock(one: Card) -> None:
    assert issue(one, "bfloat16", KNOWN) <= one.peak("bfloat16") or one.memory == "gddr"
