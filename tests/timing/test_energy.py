"""Watts of a step, and a step under a lower limit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from timing_kernels import CARDS, memory_kernel, product_kernel

from nanocheck.core.kernels import KernelKind, KernelList, Part
from nanocheck.core.step_time import StepTime
from nanocheck.timing.card import Card
from nanocheck.timing.energy import HIGH, LOW, MEDIAN, READ, board_watts, under_limit
from nanocheck.timing.estimate import estimate

_STEP = KernelList(
    parts=(
        Part(
            name="step",
            kernels=(product_kernel(4096, 4096, 4096), memory_kernel(KernelKind.ELEMENTWISE, 1 << 28)),
        ),
    ),
    torch="2.14.1",
    capability=(8, 9),
)


def _step(card: Card, host: float | None = None) -> StepTime:
    return estimate(_STEP, card, host_seconds=host)


def test_shares_are_those_of_the_readings() -> None:
    assert len(READ) == 6
    assert 0.5 < LOW < MEDIAN < HIGH <= 1


@given(card=st.sampled_from(CARDS), host=st.floats(1e-6, 10), limit=st.floats(30, 1000))
def test_a_board_draws_less_while_it_waits_and_never_more_than_its_limit(
    card: Card, host: float, limit: float
) -> None:
    alone = _step(card)
    waiting = _step(card, host)
    assert board_watts(alone, limit) == limit * MEDIAN
    assert board_watts(waiting, limit) <= board_watts(alone, limit) + 1e-9
    assert (
        board_watts(alone, limit, LOW) < board_watts(alone, limit) < board_watts(alone, limit, HIGH) <= limit
    )
    if waiting.card_seconds < waiting.seconds / 2:
        assert board_watts(waiting, limit) < 0.6 * limit


@given(card=st.sampled_from(CARDS), low=st.floats(0.1, 1), more=st.floats(0, 1))
def test_a_lower_limit_is_never_faster_and_only_products_feel_it(card: Card, low: float, more: float) -> None:
    step = _step(card)
    slow = under_limit(step, card.tgp_w, low * card.tgp_w)
    less = under_limit(step, card.tgp_w, min(1.0, low + more) * card.tgp_w)
    assert slow.seconds >= less.seconds >= step.seconds
    assert slow.mfu_exact <= step.mfu_exact
    assert (
        sum(each.share for each in slow.kinds) == 1 or abs(sum(each.share for each in slow.kinds) - 1) < 1e-9
    )
    before = {each.kind: each.seconds for each in step.kinds}
    after = {each.kind: each.seconds for each in slow.kinds}
    assert after[KernelKind.ELEMENTWISE] == before[KernelKind.ELEMENTWISE]
    if low < 0.5:
        assert after[KernelKind.PRODUCT] > 1.3 * before[KernelKind.PRODUCT]
        assert slow.interval is None or step.interval is None or slow.interval.low > step.interval.low
    assert under_limit(step, card.tgp_w, card.tgp_w) == step
