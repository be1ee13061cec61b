"""Which peaks moved at which release of PyTorch, by how much, and what explains it.

A command, or configurations of the reference step, run with each release in an environment of its own, which
is made where there is none. Neighbouring releases are then held against each other, to the allocation.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options
from nanocheck.cli.signals import leave_in_order
from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from nanocheck.core.config import StepConfig
    from nanocheck.core.drift import Drift
    from nanocheck.drift.subjects import Subject
    from nanocheck.measuring.request import Request

#: As ``nanocheck run --check``.
NO_ANSWER = 6
#: A configuration runs to its end, which compiling can make minutes.
_LIMIT = "30min"


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.usage = "nanocheck drift --torch 2.9,2.11,2.14 [options] -- python train.py ..."
    add = parser.add_argument
    add(
        "--torch",
        default="",
        metavar="VERSIONS",
        help="releases, by commas: 2.9 is the newest 2.9.x that is there, or else the newest there is",
    )
    add(
        "--python",
        action="append",
        default=[],
        metavar="[VERSION=]PATH",
        help="the Python of an environment that has this release; without a version: one more release",
    )
    add(
        "--environments",
        type=Path,
        metavar="FOLDER",
        help="environments that are there, and where missing ones are made (default: in nanocheck's cache)",
    )
    add(
        "--with",
        action="append",
        default=[],
        dest="packages",
        metavar="PACKAGE",
        help="what else the command needs in the environments that are made, as pip reads it",
    )
    add("--no-install", action="store_true", help="make no environment")
    options.add_card(parser, several=True, machine="any")
    add("--ranks", metavar="R,R", help="of a distributed command, see nanocheck run")
    add("--matrix", type=Path, metavar="FILE", help="run the configurations of this TOML file")
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="run one configuration, such as --set batch=8 --set dtype=fp32",
    )
    add("--steps", type=int, metavar="K", help="of a command, see nanocheck run")
    add("--cover", metavar="PHASES", help="of a command, see nanocheck run")
    add("--full", action="store_true", help="run a command to its own end")
    add("--time-limit", metavar="TIME", help=f"of each run (default 10min; of a configuration {_LIMIT})")
    add(
        "--workers",
        type=int,
        default=2,
        metavar="N",
        help="runs at once (default 2; real cards, machines: 1)",
    )
    add(
        "--fail-above",
        default="0",
        metavar="SIZE",
        help="exit with 1 only if a peak moved by more than this, or a verdict changed (default: 0)",
    )
    add("--journal", type=Path, metavar="FILE", help="keep runs here; what is in it is not run again")
    add("--json", type=Path, metavar="FILE", help="write the table as JSON")
    add("--md", type=Path, metavar="FILE", help="write the table as Markdown")
    add("command", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="what you would type in the shell")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: no or unknown releases, nothing to run, an unknown card, an invalid value.
        MachineError: an environment or the virtual GPU cannot be made, or a file cannot be written.
        StoredDataError: the journal is damaged.
    """
    from nanocheck.core.files import write_atomically
    from nanocheck.core.units import parse_size_of
    from nanocheck.report import drift_markdown, drift_text
    from nanocheck.report.console import show

    leave_in_order()
    above = parse_size_of("--fail-above", arguments.fail_above)
    found = _drift(arguments)
    show(drift_text.render(found))
    if arguments.json is not None:
        options.write_json(arguments.json, found)
    if arguments.md is not None:
        write_atomically(arguments.md, drift_markdown.render(found))
    return exit_code(found, above)


def exit_code(found: Drift, above_bytes: int) -> int:
    """0: nothing moved by more than that; 1: something did; 6: somewhere there is no answer."""
    if not found.complete:
        return INTERRUPTED
    if found.moved(above_bytes):
        return 1
    return NO_ANSWER if found.unanswered else 0


def _drift(arguments: argparse.Namespace) -> Drift:
    import contextlib
    import datetime
    import shlex

    from nanocheck import __version__
    from nanocheck.core.diff_side import without_folders
    from nanocheck.core.drift import Drift
    from nanocheck.core.errors import RequestError
    from nanocheck.core.fingerprint import fingerprint
    from nanocheck.core.messages import say
    from nanocheck.core.torch_versions import parse_list
    from nanocheck.drift.environments import Environments, parse_pythons
    from nanocheck.drift.runs import Runs
    from nanocheck.drift.survey import survey
    from nanocheck.process.journal import Journal
    from nanocheck.report.progress import Progress

    if arguments.workers < 1:
        raise RequestError(f"--workers: expected at least 1, found {arguments.workers}")
    subjects = _subjects(arguments)
    pythons = Environments(
        folder=arguments.environments,
        pythons=parse_pythons(arguments.python),
        packages=tuple(arguments.packages),
        install=not arguments.no_install,
    ).all(parse_list(arguments.torch))
    # A real card is shared by nobody, and ranks of two runs may meet at a port that the script names.
    one_by_one = any(each.target.kind == "real" or each.target.machine for each in subjects)
    progress = Progress()
    with contextlib.ExitStack() as stack:
        stack.callback(progress.clear)
        journal = None
        if arguments.journal is not None:
            # Which torch nanocheck itself runs beside decides nothing here.
            ours = {name: value for name, value in fingerprint().items() if name not in ("torch", "triton")}
            journal = stack.enter_context(Journal(arguments.journal, ours))
            for note in journal.notes:
                say(note)
        runs = stack.enter_context(Runs(journal, 1 if one_by_one else arguments.workers, progress))
        rows, complete = survey(subjects, pythons, runs)
    return Drift(
        nanocheck=__version__,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        asked=without_folders("nanocheck " + shlex.join(sys.argv[1:])),
        releases=tuple(each.release for each in pythons),
        rows=rows,
        complete=complete,
    )


def _subjects(arguments: argparse.Namespace) -> list[Subject]:
    """What runs, each on each card."""
    from dataclasses import replace

    from nanocheck.cli.configuration import configuration
    from nanocheck.core.device_selection import one_card_expected
    from nanocheck.core.errors import RequestError
    from nanocheck.core.matrix import load_matrix
    from nanocheck.drift.subjects import of_command, of_config

    command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if (arguments.matrix is not None) + bool(arguments.set) + bool(command) != 1:
        raise RequestError(
            "expected a command after --, or --matrix, or --set; found "
            + ("none" if not command and not arguments.set and arguments.matrix is None else "more than one"),
            hint="nanocheck drift --torch 2.9,2.11,2.14 -- python train.py",
        )
    for option in ("steps", "cover", "full", "ranks"):
        if not command and getattr(arguments, option):
            raise RequestError(
                f"--{option}: expected a command, found configurations, which decide it themselves",
                hint=f"leave --{option} away",
            )
    request = _request(arguments, command)
    configs: tuple[StepConfig, ...] = ()
    if arguments.matrix is not None:
        configs = load_matrix(arguments.matrix).configs
    elif arguments.set:
        configs = (configuration(arguments.set),)
    if configs and request.card.machine:
        raise one_card_expected(
            request.card, "a configuration's ranks are fields of its own (ranks, sharding)"
        )
    found = []
    gpus = [request.card.gpu] if request.card.machine else [gpu.id for gpu in options.cards(arguments)]
    for gpu in gpus:
        on_card = replace(request, card=replace(request.card, gpu=gpu))
        target = on_card.card.select().target
        if command:
            found.append(of_command(on_card, target))
        found += [of_config(each, on_card, target) for each in configs]
    return found


def _request(arguments: argparse.Namespace, command: list[str]) -> Request:
    from nanocheck.measuring.request import Request

    # What is a configuration's own is decided by it.
    given = argparse.Namespace(
        **vars(arguments), batch_arg=None, suggest=False, longest=False, sizes=None, time=False, clock=None
    )
    given.command = command or ["nanocheck.step"]
    given.time_limit = arguments.time_limit or (None if command else _LIMIT)
    return Request.of(given, options.card(arguments))
