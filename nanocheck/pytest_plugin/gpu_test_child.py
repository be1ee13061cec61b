"""Inside the child that runs one test of a project on the virtual GPU: what it tells, and ``gpu_memory``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

#: Set in the child: the file that it writes.
CHILD = "NANOCHECK_TEST_CHILD"
#: The fixture that sends a test to a child.
FIXTURE = "gpu_memory"


class Said(msgspec.Struct, kw_only=True):
    """What a child reported of its one test.

    Attributes:
        outcome: passed, failed, skipped; empty where it did not come so far.
        text: why it failed or was skipped.
        unchanged: it says that its memory must not change.
    """

    outcome: str = ""
    text: str = ""
    unchanged: bool = False


def read_said(path: Path) -> Said:
    """What was written until the child ended, however it did."""
    found = Said()
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        for name, value in json.loads(line).items():
            setattr(found, name, value)
    return found


class GpuMemory:
    """This process's memory on the GPU, in bytes, as PyTorch's allocator counts it."""

    @property
    def peak(self) -> int:
        """The most that was allocated at once so far."""
        import torch

        return int(torch.cuda.max_memory_allocated())

    @property
    def reserved(self) -> int:
        """The most that was reserved at once so far."""
        import torch

        return int(torch.cuda.max_memory_reserved())

    @property
    def phases(self) -> dict[str, tuple[int, int]]:
        """Phase (build, forward, backward, optimizer, ...) -> allocated and reserved peak so far."""
        from nanocheck.attribution.event_reader import read
        from nanocheck.attribution.process_figures import Figures
        from nanocheck.core.result import ProcessMemory

        for seen in read(Path(os.environ["NANOCHECK_RUN"])):
            if seen.pid == os.getpid():
                return ProcessMemory(peaks=Figures.of(seen).peaks()).phase_peaks()
        return {}

    def assert_unchanged(self) -> None:
        """The test fails if its peaks differ from its baseline, which ``--update-baselines`` stores.

        Judged when the test is over, so that its last phase counts, too.
        """
        _say(unchanged=True)


class Reporter:
    """Writes how the one test went."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed or report.skipped:
            text = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
            _say(outcome=report.outcome, text=text.removeprefix("Skipped: "))
        elif report.when == "call":
            _say(outcome="passed")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            _say(outcome="failed", text=report.longreprtext)


def _say(**what: Any) -> None:
    with Path(os.environ[CHILD]).open("a", encoding="utf-8") as file:
        file.write(json.dumps(what) + "\n")
