"""What changed in memory between two results or two commits, and which line explains it.

Results: of `nanocheck run --json`, of one card or several, or reports of `pytest suites/`. Commits: `--at
REV` runs the command at that revision, in a temporary folder, and here, on the same cards or machine; `--at
A --at B` at both. Each rank of a distributed run is compared with itself. Exit 0 if nothing grew, 1 if
something did or a verdict got worse, 6 if a side says nothing of memory.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options
from nanocheck.cli.signals import leave_in_order
from nanocheck.observe.values.policies import POLICIES

if TYPE_CHECKING:
    from nanocheck.core.allocation_change import Allowance
    from nanocheck.core.run_diff import RunDiffs

#: As `nanocheck run --check` says that there is no answer about memory.
_NO_ANSWER = 6
#: Names of untracked files that are said.
_NAMED = 3


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.usage = (
        "nanocheck diff [options] BEFORE AFTER\n"
        "       nanocheck diff [options] --at REV [--at REV] -- python train.py ..."
    )
    add = parser.add_argument
    add(
        "words",
        nargs="*",
        metavar="BEFORE AFTER | -- COMMAND",
        help="two files of `nanocheck run --json` or `pytest suites/`; with --at what you would type in the "
        "shell",
    )
    add(
        "--at",
        action="append",
        default=[],
        metavar="REV",
        help="run the command at this git revision, and at the files here or at a second --at",
    )
    add(
        "--fail-above",
        metavar="SIZE",
        help="growth up to this is let through: 64MiB, or 2%% of what was there (default: none between "
        "virtual runs, 0.5%% where one was measured)",
    )
    add("--json", type=Path, metavar="FILE", help="write the comparison as JSON")
    add("--md", type=Path, metavar="FILE", help="write a page of Markdown")
    options.add_card(parser, several=True, machine="any")
    add("--ranks", metavar="R,R", help="--at: see nanocheck run")
    add("--steps", type=int, metavar="K", help="--at: see nanocheck run")
    add("--cover", metavar="PHASES", help="--at: see nanocheck run")
    add("--full", action="store_true", help="--at: run to the script's own end")
    add("--sizes", choices=POLICIES, help="--at: see nanocheck run")
    add("--time-limit", metavar="TIME", help="--at: end each run after this long (default 10min)")
    parser.set_defaults(longest=False, time=False, clock=None, suggest=False, batch_arg=None)


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: neither two files nor a revision and a command; the two have nothing in common.
        StoredDataError: a file is damaged, of another schema, or of none of these kinds.
        MachineError: a revision cannot be checked out or run here, or a page cannot be written.
    """
    from nanocheck.core.allocation_change import Allowance
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import write_atomically
    from nanocheck.report import run_diff_file, run_diff_text
    from nanocheck.report.console import show

    allowance = None
    if arguments.fail_above is not None:
        allowance = Allowance.of("--fail-above", arguments.fail_above)
    if arguments.at:
        found = _revisions(arguments, allowance)
    elif len(arguments.words) == 2:
        before, after = map(Path, arguments.words)
        found = run_diff_file.compare_files(before, after, allowance)
    else:
        raise RequestError(
            f"expected two files, found {len(arguments.words)}",
            hint="nanocheck diff base.json head.json, or nanocheck diff --at main -- python train.py",
        )
    rendered = run_diff_text.render(found)
    if arguments.json is not None:
        options.write_json(arguments.json, found)
    if arguments.md is not None:
        write_atomically(arguments.md, rendered.markdown)
    show(rendered.blocks)
    return exit_code(found)


def exit_code(found: RunDiffs) -> int:
    """1: something grew; 6: nobody can say; 0: nothing did."""
    if found.worse:
        return 1
    return _NO_ANSWER if found.no_answer else 0


def _revisions(arguments: argparse.Namespace, allowance: Allowance | None) -> RunDiffs:
    from nanocheck.core.errors import RequestError
    from nanocheck.core.messages import say
    from nanocheck.core.run_diff import diff_all
    from nanocheck.measuring import revision_runs
    from nanocheck.measuring.request import Request
    from nanocheck.measuring.revision import Repository
    from nanocheck.report.progress import Progress

    if len(arguments.at) > 2:
        raise RequestError(f"--at: expected one revision or two, found {len(arguments.at)}")
    arguments.command = arguments.words
    request = Request.of(arguments, options.card(arguments))
    gpus: tuple[str, ...] = ()
    if request.asks_several:
        if arguments.device == "real":
            raise RequestError(
                f"--gpu {request.card.gpu}: expected virtual cards, found --device real",
                hint="leave it away",
            )
        gpus = tuple(each.id for each in options.cards(arguments))
    leave_in_order()
    repository = Repository.here()
    both = revision_runs.states(repository, arguments.at)
    untracked = repository.untracked()
    if untracked:
        named = ", ".join(untracked[:_NAMED]) + (", ..." if len(untracked) > _NAMED else "")
        files = "1 file" if len(untracked) == 1 else f"{len(untracked)} files"
        say(f"a revision's folder lacks {files} here that git does not know: {named}")
    progress = Progress()
    try:
        sides = revision_runs.run_states(
            request,
            repository,
            both,
            lambda done, names: progress(done, done + len(names), [(name, "running") for name in names]),
            gpus,
        )
    finally:
        progress.clear()
    names = (both[0].name, both[1].name)
    before, after = ({pair[side].gpu: pair[side] for pair in sides} for side in (0, 1))
    return diff_all(before, after, names, allowance)
