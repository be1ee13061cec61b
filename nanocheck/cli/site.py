"""Make a static site of a compatibility table: pages for cards and models, a form, data to download.

It needs no server and no network: open OUT/index.html, or publish the folder as it is.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("out", type=Path, metavar="OUT", help="the folder to write; files in it that are not the site's stay")
    add(
        "--table",
        type=Path,
        required=True,
        metavar="FILE",
        help="what nanocheck table --json wrote",
    )
    add(
        "--claims",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a claims ledger, such as reports/claims-rtx4070.json; several times: several",
    )
    add(
        "--drift",
        type=Path,
        metavar="FILE",
        help="what nanocheck drift --json wrote: a page of peaks by release of PyTorch",
    )
    add(
        "--gpus",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="a TOML file with further cards, for their figures and sources",
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: a file of ``--claims`` holds something else, or a catalog file is wrong.
        StoredDataError: a file is damaged or of another schema, or the table contradicts itself.
        MachineError: the folder cannot be written.
        OSError: a page of an earlier table cannot be removed.
    """
    from nanocheck.core import drift
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import read_typed, write_atomically
    from nanocheck.core.gpus import load_catalog
    from nanocheck.core.messages import say
    from nanocheck.core.table import SCHEMA, Table
    from nanocheck.report import ledger
    from nanocheck.report.site import pages
    from nanocheck.report.site.private import public, public_drift, public_ledger

    table = read_typed(
        arguments.table,
        Table,
        what="a table",
        schema=SCHEMA,
        hint="make it: nanocheck table --json table.json",
    )
    ledgers = []
    for path in arguments.claims:
        claims = ledger.load(path)
        if claims is None:
            raise RequestError(
                f"--claims: expected a claims ledger, found something else: {path}",
                hint="pytest suites/claims makes one in reports/",
            )
        ledgers.append(public_ledger(claims))
    moved = None
    if arguments.drift is not None:
        moved = public_drift(
            read_typed(
                arguments.drift,
                drift.Drift,
                what="a drift table",
                schema=drift.SCHEMA,
                hint="make it: nanocheck drift --json drift.json",
            )
        )
    files = pages.files(public(table), catalog=load_catalog(arguments.gpus), ledgers=ledgers, drift=moved)
    for name, text in files.items():
        write_atomically(arguments.out / name, text)
    old = pages.stale(arguments.out, files)
    for path in old:
        path.unlink()
    size = sum(len(text.encode()) for text in files.values())
    if old:
        say(f"removed {len(old):,} pages of an earlier table, such as {old[0]}")
    say(f"{len(files):,} files, {size / 2**20:,.1f} MiB: open {arguments.out / 'index.html'}")
    return 0
