"""One server with torch and the compiler imported, for all tests that look into small steps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from paths import HELPERS
from small_steps import SMALL, Held

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.process.jobs import Job
from nanocheck.process.pool import Pool
from nanocheck.virtual import card_environment, prepare


@pytest.fixture(scope="session")
def held() -> Iterator[Held]:
    path = os.pathsep.join([str(HELPERS), os.environ.get("PYTHONPATH", "")])
    launch = {**prepare().launch_environment(), "PYTHONPATH": path}
    environment = card_environment(Target(kind="virtual", gpu=find_gpu("rtx4070")))
    preload = ["torch", "torch._dynamo", "torch._inductor.compile_fx", "method_tasks"]
    with Pool(1, launch, preload) as pool:

        def run(**fields: Any) -> dict[str, int]:
            config = StepConfig.from_dict({**SMALL, **fields})
            job = Job(
                id=config.id, task="method_tasks:held", payload=config.to_dict(), environment=environment
            )
            result = pool.submit(job).result()
            assert result.outcome == "ok", f"{result.reason}\n{result.output}\n{result.error}"
            return dict(result.value)

        yield run
