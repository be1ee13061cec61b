"""Somebody who answers at once instead of measuring, for the tests of the plugin.

``script.json`` in the working directory may change what is answered: configuration id -> fields of the
record; ``"interrupt"`` and ``"machine"`` raise instead. What was submitted and waited for is written down.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from made_up import environment, oom_result, peaks, result

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB


class Pending:
    def __init__(self, target: Target, config: StepConfig) -> None:
        self.target, self.config = target, config

    def result(self) -> RunResult:
        _write("waited", self.config.id)
        script = Path("script.json")
        changes: dict[str, Any] = (
            json.loads(script.read_text()).get(self.config.id, {}) if script.exists() else {}
        )
        if changes.pop("interrupt", False):
            raise KeyboardInterrupt
        if changes.pop("machine", False):
            raise MachineError("expected a C compiler, found none", hint="install gcc")
        device = self.target.device
        if self.config.batch >= 16:
            return oom_result(self.config, device=device)
        changes |= {"environment": environment(**changes.pop("environment", {}))}
        size = changes.pop("mib", 800 * self.config.batch) * MIB
        shown = list(peaks(size, size))
        if changes.pop("leak", False):
            shown[-1] = msgspec.structs.replace(
                shown[-1], requested_bytes=(shown[-1].requested_bytes or 0) + 512
            )
        return result(self.config, **{"device": device, "peaks": tuple(shown), **changes})


class Fake:
    def __init__(self, target: Target) -> None:
        self.target = target
        self.seen: set[str] = set()

    def submit(self, config: StepConfig) -> Pending:
        if config.id not in self.seen:
            self.seen.add(config.id)
            _write("submitted", config.id)
        return Pending(self.target, config)

    def close(self) -> None:
        _write("closed", "closed")


def _write(name: str, line: str) -> None:
    with Path(f"{name}.txt").open("a") as stream:
        stream.write(f"{line}\n")
