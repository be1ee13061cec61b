"""Write what was found in a format that other programs read: SARIF, benchmarks, metrics.

FILE is what ``nanocheck run --json`` wrote, on one card or on several, a memory report of the suites, such as
``reports/rtx4070.json``, a table of ``nanocheck table --json``, or a comparison of ``nanocheck diff --json``.
Nothing is run. ``docs/formats.md`` says which service reads which format.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

#: What ``--to`` can be, with what reads it.
FORMATS = {
    "sarif": "SARIF 2.1.0: GitHub code scanning, editors",
    "github-benchmark": "github-action-benchmark, customSmallerIsBetter: peaks, step times",
    "github-benchmark-headroom": "github-action-benchmark, customBiggerIsBetter: headroom",
    "bencher": "Bencher Metric Format: bencher run --adapter json",
    "openmetrics": "OpenMetrics text: GitLab's metrics report, Prometheus",
}


def prepare_parser(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "--to",
        required=True,
        choices=FORMATS,
        help="; ".join(f"{name}: {reader}" for name, reader in FORMATS.items()),
    )
    add(
        "files", nargs="+", type=Path, metavar="FILE", help="JSON of a run, a report, a table or a comparison"
    )
    add("-o", "--output", type=Path, metavar="OUT", help="where to write it (default: the terminal)")
    add("--gpu", default="", metavar="ID,...", help="only runs on these cards (default: all)")
    add(
        "--place",
        metavar="FILE[:LINE]",
        help="sarif: where to show what no line of the repository belongs to (default: the command's script, "
        "a test's file, or the suites' matrix)",
    )


def run(arguments: argparse.Namespace) -> int:
    """
    Raises:
        RequestError: two runs of the same name, a card or place that is not there, a place for no line.
        StoredDataError: a file is damaged or of another kind.
        NanocheckError: no run came to an answer, and the format can say nothing else.
        MachineError: the file cannot be written.
    """
    from nanocheck.core.errors import RequestError
    from nanocheck.core.files import write_atomically
    from nanocheck.core.scrub import disarm, disarm_json, scrub
    from nanocheck.report.export import bencher, github_benchmark, openmetrics, sarif, stored

    if arguments.place is not None and arguments.to != "sarif":
        raise RequestError(f"--place: expected --to sarif, found --to {arguments.to}")
    gpus = [each.strip() for each in arguments.gpu.split(",") if each.strip()]
    runs = stored.unique(each for path in arguments.files for each in stored.load(path))
    runs = stored.on_cards(runs, gpus)
    if arguments.to == "sarif":
        text = sarif.render(runs, Path.cwd(), arguments.place)
        _say_without_place(text)
    else:
        render = {
            "github-benchmark": github_benchmark.smaller,
            "github-benchmark-headroom": github_benchmark.bigger,
            "bencher": bencher.render,
            "openmetrics": openmetrics.render,
        }[arguments.to]
        text = render(runs)
    unknown = sum(not each.verdict.is_answer for each in runs)
    if unknown:
        note = f"nanocheck export: {unknown} of {len(runs)} runs gave no answer about memory"
        print(note, file=sys.stderr)
    if arguments.output is None:
        sys.stdout.write(disarm(text) if arguments.to == "openmetrics" else disarm_json(text))
        return 0
    write_atomically(arguments.output, text)
    print(disarm(f"{scrub(arguments.output)}: {len(runs)} {'run' if len(runs) == 1 else 'runs'}"))
    return 0


def _say_without_place(text: str) -> None:
    """GitHub refuses a file with such a result."""
    import json

    results = [each for run in json.loads(text)["runs"] for each in run["results"]]
    lost = sum("locations" not in each for each in results)
    if lost:
        many = "finding belongs" if lost == 1 else "findings belong"
        print(
            f"nanocheck export: {lost} {many} to no file here, and GitHub wants one for each: --place FILE",
            file=sys.stderr,
        )
