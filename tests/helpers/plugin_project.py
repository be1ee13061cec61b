"""A small project that uses the plugin, for ``pytester``; the measuring is ``fake_measuring``'s."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from paths import HELPERS, ROOT

# pytester forgets what an inner pytest imported: numpy cannot be imported twice, and a module that a test
# has patched must be the one that the inner pytest uses.
import nanocheck.pytest_plugin.harness
import nanocheck.report.memory_report  # noqa: F401

SUITE = ROOT / "suites" / "memory" / "test_memory.py"
MATRIX = '[[group]]\nname = "ladder"\nwhy = "a ladder"\nbatch = [4, 8, 14, 16]\n'
IDS = tuple(f"gpt2-768-b{batch}-a1-bf16-eager" for batch in (4, 8, 14, 16))
#: What a GitHub runner, a CI service or an outer xdist would otherwise tell the inner pytest.
FOREIGN = ("CI", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PYTEST_XDIST_WORKER", "PYTEST_ADDOPTS")

CONFTEST = """
from fake_measuring import Fake

def pytest_nanocheck_measuring(target, settings, workers):
    return Fake(target)
"""


class Project:
    """The project, and ways to run its suite."""

    def __init__(self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pytester = pytester
        self.path = pytester.path
        for name in FOREIGN:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("PYTHONPATH", f"{HELPERS}:{ROOT}")
        folder = self.path / "suites" / "memory"
        folder.mkdir(parents=True)
        (folder / "matrix.toml").write_text(MATRIX)
        (folder / "test_memory.py").write_text(SUITE.read_text())
        (self.path / "conftest.py").write_text(CONFTEST)
        (self.path / "pytest.ini").write_text("[pytest]\n")

    def run(self, *arguments: str, device: str = "virtual") -> pytest.RunResult:
        """``pytest suites/`` in this process; ``device`` is forced, whatever card the machine has."""
        forced = ["--device", device] if device else []
        return self.pytester.runpytest_inprocess(
            "-p",
            "nanocheck.pytest_plugin.plugin",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
            *forced,
            *(arguments or ("suites/",)),
        )

    def settle(self) -> Project:
        """The same, with baselines of what the fake answers."""
        assert self.run("suites/", "--update-baselines").ret == 0
        for name in ("submitted", "waited", "closed"):
            (self.path / f"{name}.txt").unlink()
        return self

    def script(self, **changes: dict[str, Any]) -> None:
        """What the fake answers otherwise, by batch: ``b8={"mib": 1}``."""
        data = {f"gpt2-768-{name}-a1-bf16-eager": change for name, change in changes.items()}
        (self.path / "script.json").write_text(json.dumps(data))

    def lines(self, name: str) -> list[str]:
        path = self.path / f"{name}.txt"
        return path.read_text().split() if path.exists() else []

    @property
    def report(self) -> Path:
        return self.path / "reports" / "rtx4070.md"

    @property
    def baseline(self) -> Path:
        return self.path / "baselines" / "rtx4070" / "linux-torch2.14.1+cu130-virtual.json"
