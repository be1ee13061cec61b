"""Curves for the tests: each configuration is trained once, in a process of its own, two at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from nanocheck.config import StepConfig
from nanocheck.harness.jobs import Deadlines, Job
from nanocheck.harness.pool import Handle, Pool
from nanocheck.step.curves import STEPS, TEXTBOOK_STEPS, Curve

#: glibc would return every tensor of logits to the system and zero its pages anew; a fifth of the time.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(1 << 30)}
TASK = "nanocheck.step.curve_job:measure_curve"


@dataclass(frozen=True)
class Measured:
    """A curve, and its first steps from the formulas."""

    curve: Curve
    textbook: Curve


class Curves:
    """Measured curves by configuration; all that the session selected start with the first one asked for."""

    def __init__(self, pool: Pool, device: str, selected: list[StepConfig]) -> None:
        self._pool = pool
        self._device = device
        self._handles: dict[str, Handle] = {}
        for config in selected:
            self._submit(config)

    def __getitem__(self, config: StepConfig) -> Measured:
        result = self._submit(config).result()
        if result.outcome != "ok":
            why = result.reason if result.error is None else result.error.message
            pytest.fail(f"{config.id} {result.outcome}: {why}\n{result.output}", pytrace=False)
        curve = Curve.from_dict(result.value)
        textbook = {**result.value["textbook"], "environment": curve.environment}
        return Measured(curve=curve, textbook=Curve.from_dict(textbook))

    def _submit(self, config: StepConfig) -> Handle:
        if config.id not in self._handles:
            payload = {
                "config": config.to_dict(),
                "device": self._device,
                "steps": STEPS,
                "textbook_steps": TEXTBOOK_STEPS,
            }
            self._handles[config.id] = self._pool.submit(Job(id=config.id, task=TASK, payload=payload))
        return self._handles[config.id]


@pytest.fixture(scope="session")
def curves(request: pytest.FixtureRequest) -> Iterator[Curves]:
    # A virtual GPU computes nothing, so a loss never comes from one: the CPU stands in, and says so.
    virtual = request.config.getoption("--device", default=None) == "virtual"
    selected: dict[str, StepConfig] = {}
    for item in request.session.items:
        parameters: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
        for value in parameters.values():
            if isinstance(value, StepConfig) and "curves" in getattr(item, "fixturenames", ()):
                selected[value.id] = value
    preload = ["torch", "torch._dynamo"]
    with Pool(2, _KEEP_MEMORY, preload, Deadlines(default=240.0)) as pool:
        yield Curves(pool, "cpu" if virtual else "auto", list(selected.values()))
