"""Judge published claims about GPU training: confirmed, refuted or cannot tell, with the figures.

Those that come with nanocheck, or those of a file of yours: nanocheck/claims/files.py says how to write one.
"""

from __future__ import annotations

import argparse
import shutil
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    from nanocheck.core.gpus import DEFAULT_GPU, PLATFORMS
    from nanocheck.core.options import DEVICE

    add = parser.add_argument
    add("ids", nargs="*", metavar="ID", help="claims to judge, such as A2 (default: all)")
    add("--gpu", default=DEFAULT_GPU, metavar="CARD", help="the card on which their configurations run")
    add("--gpus", action="append", default=[], type=Path, metavar="FILE", help="a file of further cards")
    add(
        "--device",
        choices=DEVICE.choices,
        default="auto",
        help="real: on a GPU that is here; auto: if it is here",
    )
    add(
        "--platform",
        choices=PLATFORMS,
        default="linux",
        help="operating system of the target (usable memory differs)",
    )
    add("--reserve", default="0", metavar="SIZE", help="used by other processes on the card, such as 2GiB")
    add(
        "--file",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="judge the claims of this TOML file instead of those that come with nanocheck",
    )
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    add("--md", type=Path, metavar="FILE", help="write the ledger as Markdown")
    add("--html", type=Path, metavar="FILE", help="write the ledger as one page")
    add("--check", action="store_true", help="exit 1 if a verdict is not the one that its file expects")


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: a claim file is wrong, or a claim, card or platform unknown.
        MachineError: nothing can run here, or a file cannot be written.
    """
    answer = _answer(arguments)
    _write(answer, arguments)
    print(_text(answer, max(60, shutil.get_terminal_size((100, 24)).columns)))
    changed = any(claim["same"] is False for ledger in answer["ledgers"] for claim in ledger["claims"])
    return 1 if changed and arguments.check else 0


def _answer(arguments: argparse.Namespace) -> dict[str, Any]:
    import datetime

    import msgspec

    from nanocheck.claims import data
    from nanocheck.claims.asking import Asking
    from nanocheck.claims.files import chosen, load_ledgers
    from nanocheck.claims.judging import find_all
    from nanocheck.core.device_selection import choose_device
    from nanocheck.core.gpus import find_gpu
    from nanocheck.core.units import parse_size_of
    from nanocheck.report.progress import Progress

    ledgers = load_ledgers(arguments.file, gpus=arguments.gpus, built_in=not arguments.file)
    ledgers = chosen(ledgers, arguments.ids)
    device = choose_device(
        find_gpu(arguments.gpu, arguments.gpus),
        arguments.device,
        platform=arguments.platform,
        reserve_bytes=parse_size_of("--reserve", arguments.reserve),
    ).target
    progress = Progress()
    asking = Asking(device, choice=arguments.device, gpus=arguments.gpus, progress=progress)
    try:
        found = find_all(ledgers, asking.ask, device)
    finally:
        progress.clear()
    return data.to_plain(
        [data.finding_to_plain(ledger, finding) for ledger, findings in found for finding in findings],
        device=device,
        command=_command(arguments),
        date=datetime.date.today().isoformat(),
        environment=next(
            (msgspec.to_builtins(record.environment) for record in asking.records.values()), None
        ),
    )


def _command(arguments: argparse.Namespace) -> str:
    parts = ["nanocheck claims", *arguments.ids, f"--gpu {arguments.gpu}"]
    parts += [f"--file {path}" for path in arguments.file]
    parts += [f"--gpus {path}" for path in arguments.gpus]
    parts += [f"--device {arguments.device}"] if arguments.device != "auto" else []
    parts += [f"--platform {arguments.platform}"] if arguments.platform != "linux" else []
    parts += [f"--reserve {arguments.reserve}"] if arguments.reserve != "0" else []
    return " ".join(parts)


def _write(answer: Mapping[str, Any], arguments: argparse.Namespace) -> None:
    from nanocheck.claims import data
    from nanocheck.core.files import write_atomically

    if arguments.json is not None:
        write_atomically(arguments.json, data.dumps(answer))
    if arguments.md is not None:
        from nanocheck.claims import markdown

        write_atomically(arguments.md, markdown.render(answer))
    if arguments.html is not None:
        from nanocheck.claims import page

        write_atomically(arguments.html, page.render(answer))


def _text(answer: Mapping[str, Any], width: int) -> str:
    """A block for each claim, and the count."""
    from nanocheck.claims.data import count_summary, where

    claims = [claim for ledger in answer["ledgers"] for claim in ledger["claims"]]
    wide = max((len(claim["id"]) for claim in claims), default=0)
    blocks = []
    for claim in claims:
        head = f"{claim['id']:{wide}}  {claim['verdict']:11}  "
        changed = "" if claim["same"] is not False else f" (expected: {claim['expected']})"
        text = f"{claim['says']}{changed}"
        body = f"{claim['sentence']} [{claim['provenance']}]"
        blocks.append(
            textwrap.fill(text, width, initial_indent=head, subsequent_indent=" " * len(head))
            + "\n"
            + textwrap.fill(body, width, initial_indent=" " * len(head), subsequent_indent=" " * len(head))
        )
    return "\n".join([*blocks, f"\n{count_summary(answer)}, asked of {where(answer)}"])
