"""Answers a process of ``nanocheck run`` that has a torch of its own: see ``observe/relaunch.py``.

The question comes on standard input, the answer leaves on standard output, both JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nanocheck.core.errors import NanocheckError
from nanocheck.virtual import compiled_code_environment, virtual_gpu
from nanocheck.virtual.installed_torch import torch_in


def main() -> None:
    """One question, one answer."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


def answer(question: Mapping[str, Any]) -> dict[str, Any]:
    """``environment`` to start with, or ``error``, why there is no virtual GPU for that torch."""
    try:
        torch = torch_in(Path(question["torch"]), question["search_path"], question["environment"])
        gpu = virtual_gpu(torch)
        return {
            "environment": {
                **gpu.launch_environment(
                    question["environment"].get("NANOCHECK_RUN_PRELOAD", ""),
                    clock=bool(question.get("clock")),
                ),
                "NANOCHECK_CARD": question["card"],
                **compiled_code_environment(question["card"], torch.version),
            }
        }
    except NanocheckError as error:
        return {"error": error.problem, "hint": error.hint}
