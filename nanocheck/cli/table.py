"""Which settings fit which cards: a table, from as few runs as prove it.

What a step asks for hangs on a card's compute capability, multiprocessors and cache, not on its size: one run
on a card with room answers for every card like it, and only where the tensors fit and what the allocator
reserves does not is the card itself run.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import largest_batches, options
from nanocheck.core.errors import INTERRUPTED

if TYPE_CHECKING:
    from nanocheck.core.device import Target
    from nanocheck.core.matrix import Entry
    from nanocheck.core.table import Table
    from nanocheck.tables.filling import Submits


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    from nanocheck.core.options import DEVICE

    add = parser.add_argument
    options.add_card(parser, machine="alike", several=True, without=(DEVICE,))
    parser.set_defaults(gpu="all")
    add("--matrix", type=Path, metavar="FILE", help="the settings, as a TOML file (default: a standard set)")
    add(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="one setting instead, such as --set batch=8 --set dtype=fp16",
    )
    add("--time", action="store_true", help="model a step's time, too: one recorded run a capability")
    add("--prove", type=int, default=0, metavar="N", help="run N derived cells, drawn at random, themselves")
    add("--seed", type=int, default=0, metavar="N", help="of that draw (default 0)")
    add("--run-all", action="store_true", help="derive nothing: run every cell on its own card")
    add(
        "--largest-batch",
        action="store_true",
        help="search the largest safe batch of each setting on each card, too",
    )
    add(
        "--most-batch",
        type=int,
        default=4096,
        metavar="N",
        help="of that search: no larger one (default 4096)",
    )
    add(
        "--table",
        type=Path,
        metavar="FILE",
        help="with --largest-batch: search for a table that was made before",
    )
    add("--workers", type=int, default=2, metavar="N", help="runs at once (default 2)")
    options.add_ray(parser)
    add("--journal", type=Path, metavar="FILE", help="keep runs here; what is in it is not run again")
    add("--md", type=Path, metavar="FILE", help="write the table as a Markdown page")
    add("--csv", type=Path, metavar="FILE", help="write a row for each cell")
    add("--json", type=Path, metavar="FILE", help="write it as JSON, which `nanocheck site` reads")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: an unknown card or field, a wrong matrix, or an invalid number.
        MachineError: the virtual GPU cannot be built here, or a file cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import expect_writable
    from nanocheck.tables.filling import Submits

    for name, least in (("prove", 0), ("workers", 1)):
        if getattr(arguments, name) < least:
            raise RequestError(f"--{name}: expected at least {least}, found {getattr(arguments, name)}")
    largest_batches.check(arguments)
    entries, targets = _entries(arguments), _targets(arguments)
    made = None
    if arguments.table is not None:
        made, targets = largest_batches.stored(arguments, targets)
    several = [each.id for each in entries if each.config.ranks > 1]
    if arguments.time and several:
        raise RequestError(
            f"--time: expected settings of one rank, found {several[0]}: the model of time knows nothing of "
            "what ranks say to each other",
            hint="leave --time away",
        )
    for path in (arguments.json, arguments.md, arguments.csv):
        if path is not None:
            expect_writable(path)
    with options.measuring(targets[0], arguments, workers=arguments.workers) as measurement:
        runner = Submits(measurement.submit, measurement.wait)
        found, interrupted = made, False
        if found is None:
            found, interrupted = _made(entries, targets, runner, arguments)
        if arguments.largest_batch and not interrupted:
            found, interrupted = largest_batches.searched(
                found, targets, runner, arguments, entries, _own_cards(arguments)
            )
    _write(found, arguments)
    if interrupted:
        return INTERRUPTED
    proofs = [found.proof, None if found.largest is None else found.largest.proof]
    proven = not any(each.differences for each in proofs if each is not None)
    return 0 if proven and any(each.verdict.is_answer for each in found.cells) else 1


def _made(
    entries: list[Entry], targets: list[Target], runner: Submits, arguments: argparse.Namespace
) -> tuple[Table, bool]:
    """The table, and whether it, or its proof, was interrupted.

    Raises:
        MachineError: nothing can be started here.
    """
    import msgspec

    from nanocheck.tables.making import make
    from nanocheck.tables.proving import prove

    margin = options.card(arguments).margin_bytes
    found, filled = make(
        entries,
        targets,
        runner,
        margin_bytes=margin,
        time_too=arguments.time,
        share=not arguments.run_all,
        own_cards=_own_cards(arguments),
        cards=options.card(arguments).cards,
    )
    proof, interrupted = None, not found.complete
    if arguments.prove and found.complete:
        interrupted = True
        with contextlib.suppress(KeyboardInterrupt):  # the table is there, whatever becomes of its proof
            proof = prove(
                filled,
                [each.config for each in entries],
                targets,
                runner,
                sample=arguments.prove,
                seed=arguments.seed,
                margin_bytes=margin,
            )
            interrupted = False
    return msgspec.structs.replace(found, proof=proof), interrupted


def _write(found: Table, arguments: argparse.Namespace) -> None:
    """The files first, each whatever becomes of the others: a pipe that closes must not cost a long run.

    Raises:
        MachineError: one of them could not be written.
    """
    from nanocheck.core.errors import MachineError
    from nanocheck.core.files import write_atomically
    from nanocheck.core.table import dumps
    from nanocheck.report import table_markdown, table_text
    from nanocheck.report.console import show
    from nanocheck.report.table_csv import as_csv

    failed: list[MachineError] = []
    files = ((arguments.json, dumps), (arguments.md, table_markdown.render), (arguments.csv, as_csv))
    for path, text in files:
        if path is not None:
            try:
                write_atomically(path, text(found))
            except MachineError as error:
                failed.append(error)
    show(table_text.render(found))
    if failed:
        raise failed[0]


def _entries(arguments: argparse.Namespace) -> list[Entry]:
    from nanocheck.cli.configuration import configuration
    from nanocheck.core.errors import RequestError
    from nanocheck.core.matrix import Entry, load_matrix
    from nanocheck.tables import STANDARD

    if arguments.matrix is not None and arguments.set:
        raise RequestError("expected --matrix or --set, found both", hint="write the setting into the matrix")
    if arguments.set:
        return [Entry(config=configuration(arguments.set), group="", why="asked for")]
    return list(load_matrix(arguments.matrix or STANDARD).entries)


def _own_cards(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """By id, the words that name it in a command: of cards in words, and of those that a file has.

    An absolute path is shortened to its name: no command tells where its author's files are.
    """
    from nanocheck.core.described_card import OPTION, described
    from nanocheck.core.gpus import load_catalog

    packaged = load_catalog()
    files: list[str] = []
    for path in arguments.gpus:
        files += ["--gpus", path.name if path.is_absolute() else str(path)]
    found = {
        gpu.id: [*files, "--gpu", gpu.id]
        for gpu in load_catalog(arguments.gpus).values()
        if packaged.get(gpu.id) != gpu
    }
    return found | {each.id: [*files, OPTION, each.text] for each in described(arguments.card)}


def _targets(arguments: argparse.Namespace) -> list[Target]:
    """The cards, the smallest first; of ``all`` those that are larger than what is reserved."""
    from nanocheck.core.device import Target
    from nanocheck.core.messages import say

    card = options.card(arguments)
    asked = options.cards(arguments)
    large = [each for each in asked if each.usable_bytes[card.platform] > card.reserve_bytes]
    if card.gpu == "all" and 0 < len(large) < len(asked):
        left = [each.id for each in asked if each not in large]
        say(f"not larger than what is reserved, and left out: {', '.join(left)}")
        asked = large
    found = [
        Target(kind="virtual", gpu=gpu, platform=card.platform, reserve_bytes=card.reserve_bytes)
        for gpu in asked
    ]
    return sorted(found, key=lambda each: (each.device.sure_capacity_bytes, each.gpu.id))
