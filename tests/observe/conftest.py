"""Shared by the tests of the observer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paths import HELPERS

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Pool
from nanocheck.virtual import card_environment, prepare


@pytest.fixture(scope="session")
def values_pool() -> Iterator[Pool]:
    """For tasks about values; with what every optimizer imports, or each child would."""
    launch = {**prepare().launch_environment(), "PYTHONPATH": str(HELPERS)}
    with Pool(1, launch, ["torch._dynamo", "known_value_tasks", "value_tasks"]) as pool:
        yield pool


@pytest.fixture(scope="module")
def run(values_pool: Pool, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Calls what the test file's ``TASKS`` (a module of helpers) has, in a child on a virtual RTX 4070."""
    environment = card_environment(Target(kind="virtual", gpu=find_gpu("rtx4070")))

    def run(task: str, payload: Any = None, *, expandable: bool = False) -> Any:
        more = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"} if expandable else {}
        more |= {"PYTORCH_ALLOC_CONF": "expandable_segments:True"} if expandable else {}
        name = f"{request.module.TASKS}:{task}"
        job = Job(id=task, task=name, payload=payload, environment=environment | more)
        result = values_pool.submit(job).result()
        assert result.value is not None, result
        return result.value

    return run
