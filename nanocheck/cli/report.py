"""Write the pages in reports/ again, from the data stored beside them.

After an update of nanocheck that changed how a report reads: nothing is measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from nanocheck.core.errors import RequestError
from nanocheck.core.scrub import disarm, scrub


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="a report's name, such as rtx4070, or its JSON file (default: every report of the folder)",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        default=Path("reports"),
        metavar="FOLDER",
        help="where the reports are (default: reports)",
    )
    parser.add_argument(
        "--html", action="store_true", help="write HTML instead of Markdown, of claims ledgers only"
    )
    parser.add_argument("--stdout", action="store_true", help="print the page instead of writing it")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: there is no such report, or none that has the page.
        StoredDataError: its data are damaged or of another schema.
        MachineError: the page cannot be written.
    """
    from nanocheck.core.files import write_atomically

    stored = _stored(arguments.names, arguments.reports)
    # All are rendered first: a damaged one must not leave half of the pages new.
    if arguments.html:
        pages = _html_pages(stored, every=not arguments.names)
    else:
        pages = {path.with_suffix(".md"): _markdown(path) for path in stored}
    for path, page in pages.items():
        if arguments.stdout:
            sys.stdout.write(disarm(page))
            continue
        same = path.is_file() and path.read_bytes() == page.encode()
        if not same:
            write_atomically(path, page)
        print(disarm(f"{scrub(path)}: {'unchanged' if same else 'written'}"))
    return 0


def _markdown(path: Path) -> str:
    """A report, or a claims ledger."""
    from nanocheck.report import ledger, ledger_markdown, memory_report, report_file

    claims = ledger.load(path)
    return memory_report.render(report_file.load(path)) if claims is None else ledger_markdown.render(claims)


def _html_pages(stored: list[Path], *, every: bool) -> dict[Path, str]:
    """Of the ledgers among the stored; ``every``: nobody named the others."""
    from nanocheck.report import ledger
    from nanocheck.report.html import ledger_page

    ledgers = {path: ledger.load(path) for path in stored}
    others = [str(path) for path, claims in ledgers.items() if claims is None]
    if others and (not every or len(others) == len(ledgers)):
        raise RequestError(
            f"--html: expected a claims ledger, found a memory report: {', '.join(others)}",
            hint="leave --html away; pytest suites/claims makes a ledger",
        )
    return {
        path.with_suffix(".html"): ledger_page.render(claims)
        for path, claims in ledgers.items()
        if claims is not None
    }


def _stored(names: list[str], folder: Path) -> list[Path]:
    paths = [Path(name) if name.endswith(".json") else folder / f"{name}.json" for name in names]
    if not names:
        paths = sorted(folder.glob("*.json"))
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        there = ", ".join(path.stem for path in sorted(folder.glob("*.json"))) or "none"
        raise RequestError(
            f"expected a stored report at {', '.join(missing) or folder / '*.json'}, found none "
            f"(reports in {folder}: {there})",
            hint="pytest suites/   # makes reports/rtx4070.md and .json; --gpu chooses another card",
        )
    return paths
