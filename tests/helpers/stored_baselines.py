"""Three results and the file that stores them as baselines."""

from __future__ import annotations

from pathlib import Path

from made_up import oom_result, peaks, result

from nanocheck.core.baselines import baseline_path
from nanocheck.core.config import StepConfig
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB
from nanocheck.pytest_plugin.baselines import Baselines


def three() -> list[RunResult]:
    return [
        result(StepConfig(batch=8)),
        result(StepConfig(batch=4), peaks=peaks(4000 * MIB, 5000 * MIB)),
        oom_result(StepConfig(n_embd=576, batch=16, compile="default")),
    ]


def stored_at(folder: Path, results: list[RunResult] | None = None) -> Path:
    results = results or three()
    Baselines(folder).update(results)
    return baseline_path(folder, results[0])
