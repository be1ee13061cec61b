"""A workload on made-up cards: one that gets slower as it gets warm, one whose host is slow, a noisy one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.calibrate.timing import FIRST, REHEARSAL, USUAL, time_of
from nanocheck.core.calibration import judged
from nanocheck.core.steadiness import LEAST_SAMPLES


@dataclass
class MadeUpCard:
    """A call takes ``steady_s`` once the card has worked for some ``warms_s``; before, a part less."""

    steady_s: float
    burst: float = 0.0
    warms_s: float = 1.0
    noise: float = 0.0
    issue_s: float | None = 1e-6
    now: float = 0.0

    def __post_init__(self) -> None:
        self._random = random.Random(0)

    def clock(self) -> float:
        return self.now

    def readings(self, call: Callable[[], Any], calls: int, count: int) -> Sequence[float]:
        found = []
        for _ in range(count):
            fast = self.burst * max(0.0, 1 - self.now / self.warms_s)
            each = self.steady_s * (1 - fast) * (1 + self._random.uniform(-self.noise, self.noise))
            self.now += calls * each
            found.append(each)
        return found

    def issue(self, call: Callable[[], Any], calls: int) -> float | None:
        return self.issue_s


def nothing() -> None:
    """The made-up card does not call it."""


@given(st.floats(1e-5, 0.2), st.floats(0.05, 0.3), st.floats(0.5, 3.0))
def test_the_sustained_speed_is_found_and_not_the_burst(
    steady_s: float, burst: float, warms_s: float
) -> None:
    card = MadeUpCard(steady_s, burst, warms_s)
    found = time_of(nothing, card, FIRST, now=card.clock)
    assert found.settled
    assert found.seconds.median_s == pytest.approx(steady_s, rel=0.02)
    assert found.burst_s < found.seconds.median_s
    assert not judged(found, None)


@given(st.floats(1e-5, 0.2))
def test_a_card_that_never_settles_ends_the_warm_up_and_is_refused(steady_s: float) -> None:
    card = MadeUpCard(steady_s, noise=0.2)
    found = time_of(nothing, card, USUAL, now=card.clock)
    assert not found.settled
    assert found.warm_s <= USUAL.most_warm_s + 4 * max(steady_s, 0.03)
    assert "settled" in judged(found, None)


@given(st.floats(1e-6, 1e-3), st.floats(0.1, 3.0))
def test_a_kernel_that_the_host_issues_too_slowly_is_refused(steady_s: float, factor: float) -> None:
    card = MadeUpCard(steady_s, issue_s=factor * steady_s)
    found = time_of(nothing, card, USUAL, now=card.clock)
    assert ("host" in judged(found, None)) == (found.issue_s is not None and found.issue_s > 0.8 * steady_s)


@given(st.floats(0.0, 1.0), st.integers(1, 500))
def test_a_rehearsal_takes_a_handful_of_calls(steady_s: float, parts: int) -> None:
    card = MadeUpCard(steady_s)
    found = time_of(nothing, card, REHEARSAL, parts=parts, now=card.clock)
    assert found.seconds.samples == LEAST_SAMPLES
    assert found.seconds.median_s == pytest.approx(steady_s / parts)
