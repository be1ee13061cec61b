"""What other programs read of a check: files with fixed names beside ``gate.json``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from nanocheck.ci.settings import Settings
from nanocheck.core.errors import NanocheckError
from nanocheck.core.files import write_atomically
from nanocheck.core.gate import Gate
from nanocheck.core.verdict import JudgedRun
from nanocheck.report import gate_junit
from nanocheck.report.export import openmetrics, sarif
from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.sources import of_diff, of_run

SARIF, METRICS, JUNIT = "nanocheck.sarif", "metrics.txt", "junit.xml"


def write(gate: Gate, runs: list[JudgedRun], settings: Settings) -> list[str]:
    """All of them; a comparison stands in for the run that it is about, so that what grew is a finding.

    Args:
        runs: of the gate's rows, one each.

    Returns:
        What could not be written, and why.

    Raises:
        MachineError: the folder cannot be written.
    """
    found: list[CardRun] = [
        of_diff(row.diff) if row.diff is not None else of_run(run)
        for row, run in zip(gate.rows, runs, strict=True)
    ]
    folder = settings.root / settings.folder
    renders: dict[str, Callable[[], str]] = {
        SARIF: lambda: sarif.render(found, folder),
        METRICS: lambda: openmetrics.render(found),
        JUNIT: lambda: gate_junit.render(gate),
    }
    problems = []
    for name, render in renders.items():
        path = Path(settings.results) / name
        path.unlink(missing_ok=True)
        try:
            write_atomically(path, render())
        except NanocheckError as error:
            problems.append(f"{name}: {error.problem}")
    return problems
