"""``pytest tests/properties``: what holds of memory for any configuration, run on the virtual GPU."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from properties.configurations import choose
from properties.laboratory import Laboratory


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--properties",
        choices=("short", "long"),
        default="short",
        help="short: the same few configurations each time. long: more than 2,000, others each time",
    )


def pytest_configure(config: pytest.Config) -> None:
    # The option is known only where this file was loaded for it: `pytest tests/` runs the short profile.
    choose(config.getoption("--properties", "short"))


_opened: list[Laboratory] = []


@pytest.fixture(scope="session")
def lab() -> Iterator[Laboratory]:
    workers = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2
    with Laboratory(workers) as opened:
        _opened.append(opened)
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for lab in _opened:
        minutes = (time.monotonic() - lab.since) / 60
        terminalreporter.write_line(
            f"properties: {len(lab.configurations):,} distinct configurations, "
            f"{lab.runs:,} runs in {minutes:.1f} min"
        )
