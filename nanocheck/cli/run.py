"""Run a training script on a GPU that is not here: does it fit, where is the peak, who holds it?

The script is not edited and does not know; what it prints stays its own, the answer goes to stderr.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from nanocheck.measure.request import Request
    from nanocheck.process.launch import Ended
    from nanocheck.search.batch_argument import BatchArgument


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    from nanocheck.core.device_selection import CHOICES
    from nanocheck.core.gpus import DEFAULT_GPU, PLATFORMS

    parser.usage = "nanocheck run [options] -- python train.py ..."
    add = parser.add_argument
    add("--gpu", default=DEFAULT_GPU, metavar="ID", help="GPU to check against; all: every card, in turn")
    add("--gpus", action="append", default=[], type=Path, metavar="FILE", help="a file of further cards")
    add("--device", choices=CHOICES, default="auto", help="real: on a GPU that is here; auto: if it is here")
    add(
        "--platform",
        choices=PLATFORMS,
        default="linux",
        help="operating system of the target (usable memory differs)",
    )
    add("--reserve", default="0", metavar="SIZE", help="used by other processes on the card, such as 2GiB")
    add("--margin", metavar="SIZE", help="what must stay free to be called safe (default 512MiB)")
    add(
        "--steps",
        type=int,
        metavar="K",
        help="stop once peak memory has been stable for K optimizer steps (default 3)",
    )
    add("--full", action="store_true", help="run to the script's own end")
    add("--time-limit", metavar="TIME", help="end it after this long (default 10min; --full: none)")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    add("--html", type=Path, metavar="FILE", help="write the answer as a page with a picture")
    add("--snapshot", type=Path, metavar="FILE", help="write PyTorch's own memory snapshot")
    add("--suggest", action="store_true", help="run again with changes until it fits, or fits better")
    add("--batch-arg", metavar="NAME", help="which of the script's own arguments is the batch size")
    add("--check", action="store_true", help="exit 1 unless the verdict is that it fits")
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what you would type in the shell")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: no or an unknown command, an unknown card, an invalid value.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.messages import say
    from nanocheck.measure.foreground_run import observe
    from nanocheck.measure.request import EVERY, Request
    from nanocheck.report import terminal
    from nanocheck.search.batch_argument import find_batch

    _leave_in_order()
    request = Request.of(arguments)
    if request.gpu == EVERY:
        return _every_card(request, arguments)
    batch = find_batch(request.command, arguments.batch_arg) if arguments.suggest else None
    answer, ended = observe(request, request.choose(), arguments.snapshot)
    say(terminal.text(answer, _width()))
    _write(answer, arguments)
    if arguments.suggest and ended.how != "interrupted":
        _suggest(request, answer, batch)
        _write(answer, arguments)
        if not answer["suggestions"]["complete"]:
            return INTERRUPTED
    return exit_code(answer, ended, check=arguments.check)


def exit_code(answer: dict[str, Any], ended: Ended, *, check: bool) -> int:
    """The command's own, except that being stopped with a good answer is a success.

    Args:
        check: 1 wherever the verdict is not that it fits.
    """
    fits = answer["verdict"]["kind"] in ("safe", "tight")
    if check and not fits:
        return 1
    return 0 if ended.how == "answered" and fits else ended.exit_code


def _leave_in_order() -> None:
    """SIGTERM and SIGHUP, too, must end what runs and remove what is temporary."""
    import signal

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, leave)


def _suggest(request: Request, answer: dict[str, Any], batch: BatchArgument | None) -> None:
    from nanocheck.core.messages import say
    from nanocheck.report.progress import Progress
    from nanocheck.search import candidates, suggest

    progress = Progress()
    try:
        answer["suggestions"] = suggest.suggest(
            request,
            answer,
            batch,
            lambda done, names: progress(done, done + len(names), [(name, "running") for name in names]),
        )
    finally:
        progress.clear()
    say("further runs of the same command\n\n" + candidates.text(answer["suggestions"]))


def _every_card(request: Request, arguments: argparse.Namespace) -> int:
    from nanocheck.core.errors import RequestError
    from nanocheck.core.messages import say
    from nanocheck.measure.foreground_run import check_command
    from nanocheck.report.progress import Progress
    from nanocheck.search import every_card

    for option in ("html", "snapshot", "suggest"):
        if getattr(arguments, option):
            raise RequestError(
                f"--gpu all: expected one card for --{option}, found all", hint="name a card: --gpu rtx4070"
            )
    if arguments.device == "real":
        raise RequestError("--gpu all: expected virtual cards, found --device real", hint="leave it away")
    check_command(request)
    progress = Progress()
    try:
        found = every_card.on_every_card(
            request,
            lambda done, total, names: progress(done, total, [(name, "running") for name in names]),
        )
    finally:
        progress.clear()
    say(every_card.text(found))
    _write(found, arguments)
    if not found["complete"]:
        return INTERRUPTED
    return 1 if found["no_answer"] or (arguments.check and found["oom"]) else 0


def _write(answer: dict[str, Any], arguments: argparse.Namespace) -> None:
    """The files that were asked for."""
    import json

    from nanocheck.core.files import write_atomically

    if arguments.json is not None:
        write_atomically(arguments.json, json.dumps(answer, indent=1) + "\n")
    if arguments.html is not None:
        from nanocheck.report.html import render

        write_atomically(arguments.html, render(answer))


def _width() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns
