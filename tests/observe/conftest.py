"""Shared by the tests of the observer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from paths import HELPERS

from nanocheck.process.pool import Pool
from nanocheck.virtual import prepare


@pytest.fixture(scope="session")
def values_pool() -> Iterator[Pool]:
    """For tasks about values; with what every optimizer imports, or each child would."""
    launch = {**prepare().launch_environment(), "PYTHONPATH": str(HELPERS)}
    with Pool(1, launch, ["torch._dynamo", "known_value_tasks", "value_tasks"]) as pool:
        yield pool
