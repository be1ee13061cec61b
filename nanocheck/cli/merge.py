"""Join the journals of several machines or runs into one; twice the same result is once."""

from __future__ import annotations

import argparse
from pathlib import Path


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("journals", nargs="+", type=Path, metavar="JOURNAL", help="what --journal wrote")
    add("--into", type=Path, required=True, metavar="FILE", help="the journal that is added to, or made")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: a file that is missing, or of another environment.
        StoredDataError: a damaged journal, or two that contradict each other.
        MachineError: a journal is in use, or cannot be written.
    """
    from nanocheck.core.scrub import disarm, scrub
    from nanocheck.fleet.merge import merge

    done = merge(arguments.journals, arguments.into)
    print(disarm(f"{scrub(arguments.into)}: {done.added} results added, {done.known} were there already"))
    return 0
