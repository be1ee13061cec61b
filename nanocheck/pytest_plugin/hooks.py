"""Hooks that a project's ``conftest.py`` may implement."""

from __future__ import annotations

from typing import Protocol

import pytest

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.result import RunResult
from nanocheck.pytest_plugin.settings import Settings


class PendingResult(Protocol):
    """A configuration that was submitted."""

    def result(self) -> RunResult:
        """Waits for its result; all others go on meanwhile."""
        ...


class Measuring(Protocol):
    """Something that turns configurations into results, such as ``measure.configurations.Measurement``."""

    def submit(self, config: StepConfig, *, record: bool = False) -> PendingResult:
        """
        Args:
            record: that the result have the kernels of a step; only given, as True, where a claim asks for
                times on the virtual card.
        """
        ...

    def close(self) -> None: ...


@pytest.hookspec(firstresult=True)
def pytest_nanocheck_measuring(target: Target, settings: Settings, workers: int) -> Measuring | None:
    """Who measures; nanocheck's own answer is its harness.

    Example, in ``conftest.py``: a laboratory that keeps its cards behind a queue::

        def pytest_nanocheck_measuring(target, settings, workers):
            return MyQueue(target)  # has submit(config) -> .result() -> RunResult, and close()
    """
