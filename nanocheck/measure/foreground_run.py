"""One run of the command in the foreground, from the chosen card to its answer."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from nanocheck.core.device_selection import SelectedDevice
from nanocheck.core.messages import say
from nanocheck.measure.command_environment import child_environment
from nanocheck.measure.interpreter import check_interpreter
from nanocheck.measure.request import Request
from nanocheck.process.launch import Ended, launch
from nanocheck.process.spawn import find_program


def check_command(request: Request) -> None:
    """Whether it can be run here at all.

    Raises:
        RequestError: there is no such program, or it belongs to another environment than nanocheck.
    """
    check_interpreter(find_program(request.command, os.environ), request.command, os.environ)


def observe(
    request: Request, chosen: SelectedDevice, snapshot: Path | None = None
) -> tuple[dict[str, Any], Ended]:
    """The answer, and how the command ended.

    Args:
        snapshot: where to write PyTorch's own snapshot format.

    Raises:
        RequestError: see ``check_command``.
        MachineError: the virtual GPU cannot be built here.
    """
    from nanocheck.attribution.command_result import answer

    check_command(request)
    with tempfile.TemporaryDirectory(prefix="nanocheck-run-") as name:
        folder = Path(name)
        environment = child_environment(
            chosen.device,
            folder,
            steps=request.steps,
            snapshot=snapshot,
        )
        say(_opening(chosen))
        ended = launch(request.command, environment, folder, request.time_limit_s)
        found = answer(
            folder,
            command=request.command,
            device=chosen.device,
            ended=ended,
            margin_bytes=request.margin_bytes,
        )
    found["notes"] = [*ended.notes, *found["notes"]]
    return found, ended


def _opening(chosen: SelectedDevice) -> str:
    name = chosen.device.gpu.name
    if chosen.is_real:
        return f"measuring on {name} ({chosen.why})"
    return f"{name}, virtual ({chosen.why}); values read from this GPU are not computed"
