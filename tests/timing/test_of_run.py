"""The host's part of a whole step, where repeated micro-batches were left out while it was timed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from timing_kernels import product_kernel, step

from nanocheck.core.host_time import HostTime
from nanocheck.timing.of_run import host_seconds
from nanocheck.timing.queue import issues

launches = st.integers(1, 50)


@given(launches, launches, launches, st.integers(2, 60), st.integers(2, 8), st.floats(1e-6, 1e-4))
def test_a_host_that_needs_the_same_for_each_launch(
    first: int, repeated: int, update: int, times: int, ran: int, each_s: float
) -> None:
    kernel = product_kernel(8, 8, 8)
    kernels = step(([kernel] * first, 1), ([kernel] * repeated, times), ([kernel] * update, 1))
    ran = min(ran, times + 1)
    timed_s = each_s * (first + repeated * (ran - 1) + update)
    found = host_seconds(kernels, HostTime(seconds=(timed_s,) * 3, micro_batches=ran))
    assert found == pytest.approx(each_s * issues(kernels))


def test_what_ran_whole_is_as_it_was_measured() -> None:
    kernel = product_kernel(8, 8, 8)
    host = HostTime(seconds=(0.1, 0.3, 0.2), micro_batches=6)
    script = step(([kernel], 1), ([kernel], 4), ([kernel], 1))  # first, repeated, last: six in all
    assert host_seconds(script, host) == 0.2
    assert host_seconds(step(([kernel], 1)), host) == 0.2
    assert host_seconds(script, HostTime()) is None
    assert host_seconds(script, None) is None
