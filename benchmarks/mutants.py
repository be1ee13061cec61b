"""Every mutant of tests/helpers/mutants.toml against suites/loss and suites/reproducibility, as a table.

python benchmarks/mutants.py [--green N] [--compiled] [--only WORD]

--green N: first run the unchanged suites N times, compiled runs included, and say how long each took.
--compiled: mutants meet the compiled runs, too (their kernels are compiled anew: minutes each).
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "helpers"))

from mutating import ROOT, SUITES, copy_project, mutants, run_suites


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--green", type=int, default=0, metavar="N")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--only", default="", metavar="WORD")
    arguments = parser.parse_args()
    bad = _green(arguments.green)
    options = [] if arguments.compiled else ["-k", "not compile"]
    print("| mutant | tests that fail | among them | seconds |\n|---|---|---|---|")
    for mutant in mutants():
        if arguments.only not in mutant.name:
            continue
        with tempfile.TemporaryDirectory() as folder:
            started = time.monotonic()
            done, failed = run_suites(copy_project(Path(folder), mutant), SUITES, *options)
        seconds = time.monotonic() - started
        ran = re.search(r"(\d+) passed", done.stdout)
        total = len(failed) + (int(ran.group(1)) if ran else 0)
        functions = dict.fromkeys(re.sub(r"\[.*", "", each.rsplit("/", 1)[1]) for each in failed)
        shown = ", ".join(list(functions)[:4]) + (
            f" and {len(functions) - 4} more" if len(functions) > 4 else ""
        )
        print(
            f"| {mutant.name} | {len(failed)} of {total} | {shown or '**none**'} | {seconds:.0f} |",
            flush=True,
        )
        bad |= not failed
    return int(bad)


def _green(times: int) -> bool:
    red, seconds = 0, []
    for _ in range(times):
        started = time.monotonic()
        done, failed = run_suites(ROOT)
        seconds.append(time.monotonic() - started)
        red += done.returncode != 0
        print(f"run {len(seconds)}: {done.stdout.strip().splitlines()[-1]} {' '.join(failed)}", flush=True)
    if times:
        each = f"{min(seconds):.1f} to {max(seconds):.1f} s each"
        print(f"{times - red} of {times} green, {sum(seconds):.0f} s in all, {each}")
    return red > 0


if __name__ == "__main__":
    raise SystemExit(main())
