"""Run a training script on a GPU that is not here: does it fit, where is the peak, who holds it?

The script is not edited and does not know; what it prints stays its own, the answer goes to stderr.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options
from nanocheck.cli.signals import leave_in_order
from nanocheck.core.errors import INTERRUPTED
from nanocheck.observe.values.policies import POLICIES

if TYPE_CHECKING:
    from nanocheck.core.device import Target
    from nanocheck.core.result import Ending, RunResult
    from nanocheck.core.step_time import StepTime
    from nanocheck.core.verdict import JudgedRun
    from nanocheck.measuring.request import Request
    from nanocheck.report.blocks import Block
    from nanocheck.report.run_file import RunFile
    from nanocheck.search.batch_argument import BatchArgument
    from nanocheck.search.candidates import Suggestions


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.usage = "nanocheck run [options] -- python train.py ..."
    options.add_card(parser, several=True, machine="any")
    add = parser.add_argument
    add(
        "--steps",
        type=int,
        metavar="K",
        help="at least K optimizer steps before it stops (default 3); more run until the allocator's layout "
        "repeats itself, or the peak has rested long enough",
    )
    add("--cover", metavar="PHASES", help="do not stop before these were seen: eval, save, or eval,save")
    add(
        "--ranks",
        metavar="R,R",
        help="of a distributed run, the ranks that run, such as 0,last, or all; the others are taken to do "
        "the same (default: the first and the last, of two both)",
    )
    add("--full", action="store_true", help="run to the script's own end")
    add(
        "--longest",
        action="store_true",
        help="make every second batch of the longest samples, where a DataLoader's dataset is a plain list "
        "of tensors or lists",
    )
    add(
        "--sizes",
        choices=POLICIES,
        help="sizes that hang on values nobody computes, such as the tokens of an expert: all there can be "
        "(worst, the default), their average, or one (virtual cards only)",
    )
    add(
        "--time",
        action="store_true",
        help="how long a step would take on the card, modelled from its kernels: a few steps more are run",
    )
    add(
        "--clock",
        type=int,
        nargs="?",
        const=20,
        metavar="STEPS",
        help="--time, and then so many steps (default 20) in which the script's own clocks show the card's "
        "time, modelled: what it prints of tokens a second is the card's (virtual cards only)",
    )
    add("--time-limit", metavar="TIME", help="end it after this long (default 10min; --full: none)")
    add("--json", type=Path, metavar="FILE", help="write the answer as JSON")
    add("--html", type=Path, metavar="FILE", help="write the answer as a page with a picture")
    add("--md", type=Path, metavar="FILE", help="write the answer as Markdown, of one card or one machine")
    add("--snapshot", type=Path, metavar="FILE", help="write PyTorch's own memory snapshot")
    add(
        "--requests",
        type=Path,
        metavar="FILE",
        help="write every request to PyTorch's allocator and the block that served it, as JSON",
    )
    add("--suggest", action="store_true", help="run again with changes until it fits, or fits better")
    add("--batch-arg", metavar="NAME", help="which of the script's own arguments is the batch size")
    add("--check", action="store_true", help="let the verdict decide the exit code: 0 only if it fits")
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what you would type in the shell")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: no or an unknown command, an unknown card, an invalid value.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.verdict import JudgedRun
    from nanocheck.measuring.foreground_run import run_command
    from nanocheck.measuring.request import Request
    from nanocheck.report import measured_step_text, terminal
    from nanocheck.report.blocks import prose
    from nanocheck.report.console import say
    from nanocheck.report.run_file import RunFile
    from nanocheck.report.time_text import time_blocks
    from nanocheck.search.batch_argument import find_batch
    from nanocheck.timing.card import why_not_modelled

    leave_in_order()
    request = Request.of(arguments, options.card(arguments))
    if request.asks_several:
        return _every_card(request, arguments)
    batch = find_batch(request.command, arguments.batch_arg) if arguments.suggest else None
    target = request.card.select()
    gpu = target.target.gpu
    if request.clock and (unknown := why_not_modelled(gpu.capability_text, gpu.name)):
        raise RequestError(f"--clock: {unknown}", hint="leave --clock away, or choose another card")
    result = run_command(request, target, arguments.snapshot, arguments.requests)
    judged = JudgedRun.of(result, request.card.margin_bytes)
    time = _step_time(result, target.target) if request.time else None
    times: list[Block] = []
    if request.time and target.target.kind == "real":
        times = [prose(measured_step_text.sentence(result.main.measured_step, result.device.name))]
    elif request.time:
        times = time_blocks(result, time)
    say([*terminal.render(judged), *times])
    _write(RunFile.with_suggestions(judged, step_time=time), arguments)
    assert result.ending is not None  # a command has one
    if arguments.suggest and result.ending.how != "interrupted":
        suggestions = _suggest(request, judged, batch)
        _write(RunFile.with_suggestions(judged, suggestions, time), arguments)
        if not suggestions.complete:
            return INTERRUPTED
    return exit_code(judged, result.ending, check=arguments.check)


def _step_time(result: RunResult, target: Target) -> StepTime | None:
    from nanocheck.timing.of_run import step_time

    return step_time(result, target.gpu)


def exit_code(judged: JudgedRun, ending: Ending, *, check: bool) -> int:
    """The command's own, except that being stopped with a good answer is a success.

    Args:
        check: the verdict's own code, see ``core.verdict.MEANINGS``; a time limit or Ctrl-C keeps its own.
    """
    from nanocheck.core.verdict import MEANINGS

    code = MEANINGS[judged.verdict.kind][0]
    if check and code and ending.how not in ("timeout", "interrupted"):
        return code
    return 0 if ending.how == "answered" and judged.verdict.fits else ending.exit_code


def _suggest(request: Request, judged: JudgedRun, batch: BatchArgument | None) -> Suggestions:
    from nanocheck.report.blocks import prose
    from nanocheck.report.console import say
    from nanocheck.report.further_runs_text import suggestions_blocks
    from nanocheck.report.progress import Progress
    from nanocheck.search.suggest import suggest

    progress = Progress()
    try:
        suggestions = suggest(
            request,
            judged,
            batch,
            lambda done, names: progress(done, done + len(names), [(name, "running") for name in names]),
        )
    finally:
        progress.clear()
    say([prose("further runs of the same command"), *suggestions_blocks(suggestions)])
    return suggestions


def _every_card(request: Request, arguments: argparse.Namespace) -> int:
    from nanocheck.core.errors import RequestError
    from nanocheck.core.verdict import Kind
    from nanocheck.measuring.foreground_run import check_command
    from nanocheck.report.card_times_text import card_times_blocks
    from nanocheck.report.console import say
    from nanocheck.report.further_runs_text import every_card_blocks
    from nanocheck.report.progress import Progress
    from nanocheck.search import every_card

    asked = f"--gpu {request.card.gpu}"
    for option in ("snapshot", "requests", "suggest", "clock", "md"):
        if getattr(arguments, option):
            raise RequestError(
                f"{asked}: expected one card for --{option}, found several", hint="name a card: --gpu rtx4070"
            )
    if arguments.device == "real":
        raise RequestError(f"{asked}: expected virtual cards, found --device real", hint="leave it away")
    check_command(request)
    progress = Progress()
    try:
        found = every_card.on_every_card(
            request,
            lambda done, total, names: progress(done, total, [(name, "running") for name in names]),
        )
    finally:
        progress.clear()
    say([*every_card_blocks(found), *card_times_blocks(found)])
    if arguments.json is not None:
        options.write_json(arguments.json, found)
    if arguments.html is not None:
        from nanocheck.core.files import write_atomically
        from nanocheck.report.html import cards_page

        write_atomically(arguments.html, cards_page.render(found))
    if not found.complete:
        return INTERRUPTED
    return 1 if found.no_answer or (arguments.check and found.of_kind(Kind.OOM)) else 0


def _write(file: RunFile, arguments: argparse.Namespace) -> None:
    """The files that were asked for."""
    if arguments.json is not None:
        options.write_json(arguments.json, file)
    if arguments.html is not None:
        from nanocheck.core.files import write_atomically
        from nanocheck.report.html import render

        write_atomically(arguments.html, render(file))
    if arguments.md is not None:
        from nanocheck.core.files import write_atomically
        from nanocheck.report import run_markdown

        write_atomically(arguments.md, run_markdown.render(file))
