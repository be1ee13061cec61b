"""Run a training script on a GPU that is not here: does it fit, where is the peak, who holds it?

The script is not edited and does not know; what it prints stays its own, the answer goes to stderr.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nanocheck.choosing import Chosen
    from nanocheck.run.launch import Ended
    from nanocheck.run.request import Request


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    from nanocheck.choosing import CHOICES
    from nanocheck.gpus import DEFAULT_GPU, PLATFORMS

    parser.usage = "nanocheck run [options] -- python train.py ..."
    add = parser.add_argument
    add("--gpu", default=DEFAULT_GPU, metavar="ID", help="the card to answer for; all: every card, in turn")
    add("--gpus", action="append", default=[], type=Path, metavar="FILE", help="a file of further cards")
    add("--device", choices=CHOICES, default="auto", help="real: on a GPU that is here; auto: if it is here")
    add("--platform", choices=PLATFORMS, default="linux", help="whose driver leaves how much memory")
    add("--reserve", default="0", metavar="SIZE", help="held by others on the card, such as 2GiB")
    add("--margin", metavar="SIZE", help="what must stay free to be called safe (default 512MiB)")
    add("--steps", type=int, metavar="K", help="stop after K optimizer steps once the peak rests (default 3)")
    add("--full", action="store_true", help="run to the script's own end")
    add("--time-limit", metavar="TIME", help="end it after this long (default 10min; --full: none)")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    add("--html", type=Path, metavar="FILE", help="write the answer as a page with a picture")
    add("--snapshot", type=Path, metavar="FILE", help="write PyTorch's own memory snapshot")
    add("--suggest", action="store_true", help="run again with changes until it fits, or fits better")
    add("--batch-arg", metavar="NAME", help="which of the script's own arguments is the batch size")
    add("--check", action="store_true", help="exit 1 unless it fits, whatever the script's own exit code")
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what you would type in the shell")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: no or an unknown command, an unknown card, a value that is none.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.run.request import Request

    request = Request.of(arguments)
    chosen = request.choose()
    answer, ended = observe(request, chosen, arguments.snapshot)
    publish(answer, arguments)
    return exit_code(answer, ended, check=arguments.check)


def observe(request: Request, chosen: Chosen, snapshot: Path | None = None) -> tuple[dict[str, Any], Ended]:
    """Run the command once, in the foreground, and give the answer."""
    import tempfile

    from nanocheck.attribution import answer
    from nanocheck.run import say
    from nanocheck.run.environment import child_environment
    from nanocheck.run.interpreter import check_interpreter
    from nanocheck.run.launch import launch
    from nanocheck.run.start import find_program

    program = find_program(request.command, os.environ)
    check_interpreter(program, request.command, os.environ)
    with tempfile.TemporaryDirectory(prefix="nanocheck-run-") as name:
        folder = Path(name)
        environment = child_environment(
            chosen.device,
            folder,
            steps=request.steps,
            time_limit_s=request.time_limit_s,
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


def _opening(chosen: Chosen) -> str:
    name = chosen.device.gpu.name
    if chosen.measures:
        return f"measuring on {name} ({chosen.why})"
    return f"{name}, virtual ({chosen.why}); values read from this GPU are not computed"


def publish(answer: dict[str, Any], arguments: argparse.Namespace) -> None:
    """To the terminal, and to the files that were asked for."""
    import json
    import shutil

    from nanocheck.run import say
    from nanocheck.run.terminal import text
    from nanocheck.stored import write_atomically

    say(text(answer, shutil.get_terminal_size((100, 24)).columns))
    if arguments.json is not None:
        write_atomically(arguments.json, json.dumps(answer, indent=1) + "\n")
    if arguments.html is not None:
        from nanocheck.page import render

        write_atomically(arguments.html, render(answer))


def exit_code(answer: dict[str, Any], ended: Ended, *, check: bool) -> int:
    """The command's own, except that being stopped with a good answer is a success.

    Args:
        check: 1 wherever the verdict is not that it fits.
    """
    fits = answer["verdict"]["kind"] in ("safe", "tight")
    if check and not fits:
        return 1
    return 0 if ended.how == "answered" and fits else ended.exit_code
