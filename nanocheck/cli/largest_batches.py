"""``nanocheck table --largest-batch``: of a table that was just made, or of one in a file."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nanocheck.core.errors import RequestError

if TYPE_CHECKING:
    from nanocheck.core.device import Target
    from nanocheck.core.matrix import Entry
    from nanocheck.core.table import Setting, Table
    from nanocheck.tables.filling import Submits


def check(arguments: argparse.Namespace) -> None:
    """
    Raises:
        RequestError: options that do not go together, or an invalid number.
    """
    if arguments.most_batch < 1:
        raise RequestError(f"--most-batch: expected at least 1, found {arguments.most_batch}")
    if arguments.table is None:
        return
    if not arguments.largest_batch:
        raise RequestError("--table: expected --largest-batch with it", hint="add --largest-batch")
    if arguments.time:
        raise RequestError("--time: expected cells to be run, found --table", hint="leave --time away")


def stored(arguments: argparse.Namespace, targets: Sequence[Target]) -> tuple[Table, list[Target]]:
    """The table of ``--table``, and its cards among these.

    Raises:
        StoredDataError: no table in that file.
        RequestError: it was made for another platform, reserve or margin, or with other figures of a card.
    """
    from nanocheck.cli import options
    from nanocheck.core.table import load
    from nanocheck.tables.making import card_of

    found, card = load(arguments.table), options.card(arguments)
    asked = (card.platform, card.reserve_bytes, card.margin_bytes)
    there = (found.platform, found.reserve_bytes, found.margin_bytes)
    if asked != there:
        raise RequestError(
            "--table: expected the platform, the reserve and the margin of the table, "
            f"{there}, found {asked}",
            hint="give --platform, --reserve and --margin as they were",
        )
    known = {each.gpu: each for each in found.cards}
    mine = [each for each in targets if each.gpu.id in known]
    moved = [each.gpu.id for each in mine if card_of(each) != known[each.gpu.id]]
    if moved or not mine:
        what = f"other figures of {moved[0]}" if moved else "none of the cards asked for"
        raise RequestError(
            f"--table: expected cards of the table with the figures that it has, found {what}",
            hint="make the table again: nanocheck table --json FILE",
        )
    return found, mine


def ways(arguments: argparse.Namespace, entries: Sequence[Entry], table: Table) -> list[Setting]:
    """Settings of the table: one for each way that ``--matrix`` or ``--set`` names, else for every one.

    Raises:
        RequestError: the table has not a setting of that way.
    """
    from dataclasses import replace

    every = {each.way: each for each in table.settings}
    if arguments.table is None or not (arguments.matrix or arguments.set):
        return list(every.values())
    asked = list(dict.fromkeys(replace(each.config, batch=1).id for each in entries))
    for way in asked:
        if way not in every:
            raise RequestError(f"--table: expected settings of the table, found {way}")
    return [every[each] for each in asked]


def searched(
    table: Table,
    targets: Sequence[Target],
    runner: Submits,
    arguments: argparse.Namespace,
    entries: Sequence[Entry],
    own_cards: Mapping[str, Sequence[str]],
) -> tuple[Table, bool]:
    """The table with its largest batches, and whether that, or its proof, was interrupted.

    Raises:
        RequestError: as of ``ways``, or a search of the table that went to another limit.
        MachineError: nothing can be started here.
    """
    import msgspec

    from nanocheck.tables.largest import joined, search
    from nanocheck.tables.proving_largest import prove_largest

    found = search(
        table,
        targets,
        runner,
        ways=ways(arguments, entries, table),
        most=arguments.most_batch,
        share=not arguments.run_all,
        own_cards=own_cards,
    )
    largest = joined(table.largest, found)
    proof, interrupted = None, not found.complete
    if arguments.prove and not interrupted:
        interrupted = True
        with contextlib.suppress(KeyboardInterrupt):  # they are there, whatever becomes of their proof
            proof = prove_largest(
                largest,
                table.settings,
                targets,
                runner,
                sample=arguments.prove,
                seed=arguments.seed,
                margin_bytes=table.margin_bytes,
            )
            interrupted = False
    return msgspec.structs.replace(table, largest=msgspec.structs.replace(largest, proof=proof)), interrupted
