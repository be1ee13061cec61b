"""One run of the command in the foreground, on the chosen card."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from nanocheck.core.device_selection import SelectedDevice
from nanocheck.core.errors import RequestError
from nanocheck.core.files import write_atomically
from nanocheck.core.messages import say
from nanocheck.core.result import Ending, How, RunResult
from nanocheck.measuring.command_environment import VISIBLE, child_environment
from nanocheck.measuring.host_guard import HostGuard
from nanocheck.measuring.interpreter import is_ours
from nanocheck.measuring.other_gpus import refuse_other_gpus
from nanocheck.measuring.request import Request
from nanocheck.observe import absent_ranks
from nanocheck.process.launch import launch
from nanocheck.process.scratch import Scratch
from nanocheck.process.spawn import find_program


def check_command(request: Request) -> None:
    """Whether it can be run here at all.

    Raises:
        RequestError: there is no such program.
    """
    find_program(request.command, os.environ)


def run_command(
    request: Request, chosen: SelectedDevice, snapshot: Path | None = None, requests: Path | None = None
) -> RunResult:
    """What the command's processes did.

    Args:
        snapshot: where to write PyTorch's own snapshot format.
        requests: where to write every request to the allocator, a ``RequestLog`` as JSON.

    Raises:
        RequestError: see ``check_command``; a rank was asked for that the command has not.
        MachineError: the virtual GPU cannot be built here, a process ran without it, or ``requests`` cannot
            be written; the ranks do not fit this host's memory.
    """
    from nanocheck.attribution.command_result import command_result
    from nanocheck.attribution.event_reader import read
    from nanocheck.attribution.request_log import request_log

    check_command(request)
    scratch = Scratch("run")
    with scratch as folder:
        environment = child_environment(
            chosen.target,
            folder,
            ours=is_ours(find_program(request.command, os.environ), os.environ),
            steps=request.steps,
            cover=request.cover,
            longest=request.longest,
            sizes=request.sizes,
            snapshot=snapshot,
            time=request.time,
            clock=request.clock,
            ranks=request.ranks,
        )
        say(_opening(chosen))
        guard = HostGuard(folder)
        ended = launch(
            request.command,
            environment,
            folder,
            request.time_limit_s,
            abandoned=scratch.remove,
            why_end=guard.why_end,
        )
        _refuse_unknown_ranks(folder)
        guard.refuse(ended.refused)
        seen = read(folder)
        if chosen.target.kind == "virtual":
            refuse_other_gpus(seen)
        if requests is not None:
            write_atomically(requests, msgspec.json.encode(request_log(seen)).decode() + "\n")
        return command_result(
            folder,
            seen,
            command=request.command,
            device=chosen.target.device,
            machine=chosen.target.machine,
            ending=Ending(how=How(ended.how), exit_code=ended.exit_code),
            seconds=ended.seconds,
            notes=[*ended.notes, *_not_passed_on(chosen)],
            cut_off=ended.cut_off,
        )


def _refuse_unknown_ranks(folder: Path) -> None:
    """How many ranks there are only they know, from their launcher."""
    refused = folder / absent_ranks.REFUSED
    if refused.exists():
        raise RequestError(refused.read_text(), hint=f"--ranks 0,{absent_ranks.LAST}, or leave --ranks away")


def _not_passed_on(chosen: SelectedDevice) -> list[str]:
    """That a variable of the caller's would have hidden the virtual card: there is only number 0."""
    visible = os.environ.get(VISIBLE, "0")
    if chosen.target.machine and VISIBLE in os.environ:
        return [f"{VISIBLE}={visible!r} was not passed on: every card of the virtual machine is visible"]
    if chosen.is_real or visible.split(",")[0].strip() == "0":
        return []
    return [f"{VISIBLE}={visible!r} was not passed on: the virtual card is the only one, number 0"]


def _opening(chosen: SelectedDevice) -> str:
    name = chosen.target.gpu.name
    if chosen.is_real:
        return f"measuring on {name} ({chosen.why})"
    if chosen.target.machine:
        name = ", ".join(f"{each.cards} x {each.gpu.name}" for each in chosen.target.kinds)
    return f"{name}, virtual ({chosen.why}); values read from this GPU are not computed"
