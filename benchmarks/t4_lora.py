"""LoRA and QLoRA steps that somebody measured on a real Tesla T4, again on the virtual one.

    python benchmarks/t4_lora.py none               # rows whose name holds this: a minute each
    python benchmarks/t4_lora.py TinyLlama eager    # ... both words
    python benchmarks/t4_lora.py none --store       # ... and keep what was found in t4_lora.csv
    python benchmarks/t4_lora.py --stored           # the table of docs/accuracy.md, from what is kept

Rows and published figures: ``t4_lora.csv``, after github.com/Anassbzdd/fitcheck (MIT),
``data/measurements/``. The order of calls is that of its ``scripts/measure.py``, written anew in
``tests/clients/hf_lora.py``.

**Versions.** The rows of 15 September are published as torch 2.14.0+cu130, transformers 5.17.0 and peft
0.20.0, those of the 16th (``-sep16``) as torch 2.10.0+cu128, transformers 5.0.0 and peft 0.19.1. Both state
the same CUDA context to the byte. With the second set the unquantised rows of both days come out to the last
digit; with the first those of the 15th do not. So what is kept here is of the second set (Python 3.11,
accelerate 1.15.0, bitsandbytes 0.50.2, tokenizers 0.22.2). The script runs what is installed, and says so.

**Split.** Rows of role ``searched`` were used to find why reserved disagreed. Those of role ``aside`` were
named before they were run for the first time, and with addresses that simply fall had allocated exactly,
reserved within 2 MiB; regions of 32 MiB, taken from a posted snapshot of an RTX 3090, then explained these
2 MiB, too. Rows of role ``seen`` had been run with other versions, and decided nothing but that last step
(the 8 MiB of ``TinyLlama-1.1B-b2-s512-sdpa-none``). The rule: ``nanocheck/virtual/csrc/memory/arena.c``.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tabulate import tabulate

FIGURES = Path(__file__).with_suffix(".csv")
CLIENT = Path(__file__).parent.parent / "tests" / "clients" / "hf_lora.py"
LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")
MIB = 1 << 20

Row = dict[str, str]


def rows(words: Sequence[str] = ()) -> list[Row]:
    """The stored rows whose name holds all of these words."""
    with FIGURES.open(newline="") as file:
        return [row for row in csv.DictReader(file) if all(word in row["row"] for word in words)]


def run(row: Row) -> tuple[float, float]:
    """Peaks of one row here, in MiB: allocated, reserved.

    Raises:
        RuntimeError: the program did not come to its end.
    """
    options = [f"--{name}={row[name]}" for name in ("model", "batch", "length", "attention", "quantisation")]
    with tempfile.TemporaryDirectory() as folder:
        ran = subprocess.run(
            [
                *(sys.executable, "-m", "nanocheck", "run", "--gpu", "t4", "--full"),
                *("--json", str(Path(folder) / "answer.json"), "--", sys.executable, str(CLIENT), *options),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    printed = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if line.count(" ") == 1)
    if "optimizer" not in printed:
        raise RuntimeError(f"{row['row']}: {(ran.stdout + ran.stderr)[-2000:]}")
    return int(printed["peak"]) / MIB, int(printed["reserved"]) / MIB


def apart(here: str, published: str) -> str:
    """By how much the first differs from the second."""
    difference = float(here) - float(published)
    return f"{difference:+,.2f} ({difference / float(published):+.2%})" if difference else "0"


def table(found: Sequence[Row]) -> str:
    """As markdown: MiB, published and here."""
    lines: list[dict[str, Any]] = [
        {
            "row": f"`{row['row']}`",
            "allocated": f"{float(row['allocated_mib']):,.2f}",
            "here": f"{float(row['here_allocated_mib']):,.2f}",
            "apart": apart(row["here_allocated_mib"], row["allocated_mib"]),
            "reserved": f"{float(row['reserved_mib']):,.0f}",
            "here ": f"{float(row['here_reserved_mib']):,.0f}",
            "apart ": apart(row["here_reserved_mib"], row["reserved_mib"]),
            "role": row["role"],
        }
        for row in found
        if row["here_allocated_mib"]
    ]
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


def store(found: Sequence[Row]) -> None:
    by_name = {row["row"]: row for row in found}
    kept = [by_name.get(row["row"], row) for row in rows()]
    with FIGURES.open("w", newline="") as file:
        writer = csv.DictWriter(file, kept[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("words", nargs="*", help="parts of a row's name")
    parser.add_argument("--store", action="store_true", help="keep what was found in t4_lora.csv")
    parser.add_argument("--stored", action="store_true", help="run nothing, show what is kept")
    options = parser.parse_args()
    found = rows(options.words)
    for row in () if options.stored else found:
        allocated, reserved = run(row)
        row |= {"here_allocated_mib": repr(allocated), "here_reserved_mib": repr(reserved)}
        print(row["row"], allocated, reserved, file=sys.stderr, flush=True)
        if options.store:
            store([row])
    if not options.stored:
        print("MiB; " + ", ".join(f"{name} {version(name)}" for name in LIBRARIES) + "\n")
    print(table(found))


if __name__ == "__main__":
    main()
