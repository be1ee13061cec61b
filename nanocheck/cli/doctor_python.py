"""Checks of another Python: what ``nanocheck run`` would do with a script that it executes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocheck.core.errors import MachineError
from nanocheck.core.units import MIB, mib

if TYPE_CHECKING:
    from nanocheck.virtual.installed_torch import InstalledTorch

#: The observer is written for this one.
OLDEST_PYTHON = (3, 9)
#: Older ones were never tried.
OLDEST_TORCH = (2, 4)
_SECONDS = 120
_TRIAL_BYTES = 256 * MIB
_ASK = """
import importlib.util, json, platform, sys
spec = importlib.util.find_spec("torch")
print(json.dumps({"python": platform.python_version(), "executable": sys.executable, "path": sys.path[1:],
                  "torch": list(spec.submodule_search_locations)[0] if spec else None}))
"""
_TRIAL = f"""
import torch
made = torch.empty({_TRIAL_BYTES}, dtype=torch.uint8, device="cuda")
weight = torch.nn.Parameter(torch.ones(4, device="cuda"))
optimizer = torch.optim.SGD([weight])
for _ in range(4):
    weight.sum().backward()
    optimizer.step()
"""


@dataclass
class OtherPython:
    """A Python that is asked, not imported from."""

    program: str

    def checks(self) -> list[tuple[str, Callable[[], str], tuple[str, ...]]]:
        """(name, check, names of the checks it cannot do without)."""
        return [
            ("Python", self.python, ()),
            ("PyTorch", self.torch, ("Python",)),
            ("CUDA libraries", self.libraries, ("PyTorch",)),
            ("headers", self.headers, ("CUDA libraries",)),
            ("virtual GPU", self.virtual_gpu, ("headers",)),
            ("a run on it", self.trial, ("virtual GPU",)),
        ]

    @cached_property
    def _answer(self) -> dict[str, Any]:
        program = shutil.which(self.program)
        if program is None:
            raise MachineError(
                f"expected a Python, found no program {self.program!r}",
                hint="name the interpreter of the environment, such as .venv/bin/python",
            )
        asked = subprocess.run(
            [program, "-c", _ASK],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
        try:
            return dict(json.loads(asked.stdout))
        except ValueError as error:
            said = (asked.stderr or asked.stdout).strip()[-500:] or f"exit code {asked.returncode}"
            raise MachineError(f"expected {program} to be a Python, found: {said}") from error

    @cached_property
    def _torch(self) -> InstalledTorch:
        from nanocheck.virtual.installed_torch import torch_in

        if self._answer["torch"] is None:
            raise MachineError(
                "expected PyTorch in that environment, found none",
                hint=f"{self._answer['executable']} -m pip install torch",
            )
        return torch_in(Path(self._answer["torch"]), self._answer["path"])

    def python(self) -> str:
        version = str(self._answer["python"])
        if _numbers(version) < OLDEST_PYTHON:
            raise MachineError(
                f"expected Python {_dotted(OLDEST_PYTHON)} or newer, found {version}: not observed there"
            )
        return f"{version}, {self._answer['executable']}"

    def torch(self) -> str:
        version = self._torch.version
        if _numbers(version) < OLDEST_TORCH:
            raise MachineError(
                f"expected PyTorch {_dotted(OLDEST_TORCH)} or newer, found {version}, which nobody tried"
            )
        return f"{version}, built for CUDA {self._torch.cuda}, in {self._torch.folder.parent}"

    def libraries(self) -> str:
        found = self._torch.cuda_libraries
        return f"{len(found)} below {os.path.commonpath([each.parent for each in found])}"

    def headers(self) -> str:
        return f"in {len(self._torch.include_folders)} folders"

    def virtual_gpu(self) -> str:
        from nanocheck.virtual import virtual_gpu

        return str(virtual_gpu(self._torch).folder)

    def trial(self) -> str:
        """A few steps under ``nanocheck run``: started again with the virtual GPU, observed, answered."""
        from nanocheck.core.device_selection import CardQuestion
        from nanocheck.core.verdict import Kind, classify
        from nanocheck.measuring.foreground_run import run_command
        from nanocheck.measuring.request import Request

        card = CardQuestion(device="virtual")
        command = [str(self._answer["executable"]), "-c", _TRIAL]
        request = Request(command=command, card=card, steps=3, time_limit_s=_SECONDS)
        with contextlib.redirect_stderr(io.StringIO()):  # what it is about to run is of no interest
            result = run_command(request, card.select())
        verdict = classify(result)
        if verdict.kind is not Kind.SAFE or result.main.allocated_bytes < _TRIAL_BYTES:
            raise MachineError(
                f"expected a small training to be observed there, found {verdict}; "
                + "; ".join(result.notes[:2]),
                hint="report this: this torch is not observed as others are",
            )
        return f"{mib(result.main.allocated_bytes)} MiB of a small training observed on {result.device.name}"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
