"""Compare two recordings of `nanocheck record`, two memory reports, or two runs, and name what moved.

Recordings: the first step and parameter that differ, and whether that is rounding. Reports (reports/*.json of
`pytest suites/`): the peaks and verdicts that changed. Runs (`nanocheck run --json`): what `nanocheck diff`
says of their memory; of `--time`, also which kernels are new, gone or changed, and by how many modelled
milliseconds. Exit 0 if nothing moved, 1 if something did, either way; `nanocheck diff` fails only on growth.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nanocheck.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nanocheck.core.gpus import CardSource
    from nanocheck.report.pairing_text import RenderedComparison


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("before", type=Path, metavar="BEFORE", help="a recording, a memory report, or a run")
    add("after", type=Path, metavar="AFTER", help="another of the same kind")
    add("--md", type=Path, metavar="FILE", help="write a page of Markdown")
    add("--json", type=Path, metavar="FILE", help="write everything as JSON")
    options.add_further_cards(parser)


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: the two are of different kinds, have nothing in common, or are of a card that is not
            known.
        StoredDataError: one is damaged, of another schema, or neither a recording nor a report.
        MachineError: a page cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import write_atomically
    from nanocheck.report.console import show

    kinds = [_kind(path) for path in (arguments.before, arguments.after)]
    if kinds[0] != kinds[1]:
        raise RequestError(
            f"expected two files of one kind, found a {kinds[0]} in {arguments.before} "
            f"and a {kinds[1]} in {arguments.after}"
        )
    names = (str(arguments.before), str(arguments.after))
    # Reading twice is cheap, and keeps the two kinds apart.
    if kinds[0] in ("recording", "memory report"):
        read = _recordings if kinds[0] == "recording" else _reports
        rendered = read(arguments.before, arguments.after, names)
    else:
        rendered = _runs(arguments.before, arguments.after, names, options.further_cards(arguments))
    if arguments.json is not None:
        write_atomically(arguments.json, json.dumps(rendered.plain, indent=1, allow_nan=False) + "\n")
    if arguments.md is not None:
        write_atomically(arguments.md, rendered.markdown)
    show(rendered.blocks)
    return 1 if rendered.moved else 0


def _kind(path: Path) -> str:
    from nanocheck.core.errors import StoredDataError
    from nanocheck.core.files import read_json
    from nanocheck.numerics.recording import KIND
    from nanocheck.report.run_diff_file import kind_of

    hint = "compare what `nanocheck record`, `pytest suites/` or `nanocheck run --json` wrote"
    data, _ = read_json(path, hint=hint)
    if isinstance(data, dict) and data.get("kind") == KIND:
        return "recording"
    found = kind_of(data)
    if found is not None:
        return found
    raise StoredDataError(
        f"{path}: expected a recording, a memory report or a run, found something else", hint=hint
    )


def _recordings(before: Path, after: Path, names: tuple[str, str]) -> RenderedComparison:
    from nanocheck.numerics import compare
    from nanocheck.numerics.recording import load
    from nanocheck.report import numerics_text

    return numerics_text.render(compare.compare(load(before), load(after)), names)


def _reports(before: Path, after: Path, names: tuple[str, str]) -> RenderedComparison:
    from nanocheck.report import diff, diff_text
    from nanocheck.report.report_file import load

    return diff_text.render(diff.compare(load(before), load(after)), names)


def _runs(
    before: Path, after: Path, names: tuple[str, str], gpus: Sequence[CardSource]
) -> RenderedComparison:
    """Their memory, as ``nanocheck diff`` says it, behind their kernels where both have them."""
    from nanocheck.core.files import read_json
    from nanocheck.report import run_diff_text, step_change_text
    from nanocheck.report.blocks import prose
    from nanocheck.report.pairing_text import RenderedComparison
    from nanocheck.report.run_diff_file import RUN, compare_files, kind_of
    from nanocheck.report.run_file import load

    memory = run_diff_text.render(compare_files(before, after))
    if kind_of(read_json(before, hint="")[0]) != RUN:
        return memory
    runs = load(before), load(after)
    timed = [run.result.main.kernels is not None for run in runs]
    if not all(timed):
        note = "note: only one run has the kernels of a step (--time), so they are not compared"
        return replace(memory, blocks=[*memory.blocks, *([prose(note)] if any(timed) else [])])
    time = step_change_text.render(step_change_text.compare(*runs, gpus), names)
    return RenderedComparison(
        moved=time.moved or memory.moved,
        blocks=[*time.blocks, *(memory.blocks if memory.moved else ())],
        markdown="\n".join([time.markdown, *([memory.markdown] if memory.moved else [])]),
        plain={**time.plain, "moved": time.moved or memory.moved, "memory": memory.plain},
    )
