"""Hooks that a project's ``conftest.py`` may implement."""

from __future__ import annotations

from typing import Protocol

import pytest

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.result import Record
from nanocheck.pytest_plugin.settings import Settings


class PendingRecord(Protocol):
    """A configuration that was submitted."""

    def result(self) -> Record:
        """Waits for its record; all others go on meanwhile."""
        ...


class Measuring(Protocol):
    """Something that turns configurations into records, such as ``measure.configurations.Measurement``."""

    def submit(self, config: StepConfig) -> PendingRecord: ...

    def close(self) -> None: ...


@pytest.hookspec(firstresult=True)
def pytest_nanocheck_measuring(device: Device, settings: Settings, workers: int) -> Measuring | None:
    """Who measures; nanocheck's own answer is its harness.

    Example, in ``conftest.py``: a laboratory that keeps its cards behind a queue::

        def pytest_nanocheck_measuring(device, settings, workers):
            return MyQueue(device)      # has submit(config) -> .result() -> Record, and close()
    """
