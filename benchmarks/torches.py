"""Which installations of torch run on the virtual GPU and are observed there: a row for a torch and a way.

python benchmarks/torches.py ENV/bin/python ...   # rows of these are added to torches.csv, or replaced
python benchmarks/torches.py --ways eager ENV/bin/python
python benchmarks/torches.py                      # the table of docs/any-script.md, from the stored rows

Each is ``nanocheck run --full`` of ``torches_train.py`` in an environment that need not have nanocheck in it:
eager, compiled, DistributedDataParallel of one rank under torchrun, and a DataLoader with two workers.
A row is sound where the verdict is an answer, the groups sum to the peak to the byte, and the peak is the one
that the script prints (``torch.cuda.max_memory_allocated``).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas

HERE = Path(__file__).parent
ROWS = HERE / "torches.csv"
TRAIN = HERE / "torches_train.py"
WAYS = ("eager", "compiled", "ddp", "workers")
KEY = ["torch", "way"]
_ASK = "import importlib.util as u, sys; print(sys.version.split()[0], u.find_spec('nanocheck') is not None)"


def run(python: Path, way: str) -> dict[str, object]:
    """One row."""
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node=1"] if way == "ddp" else []
    elsewhere = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    about = subprocess.run(
        [python, "-c", _ASK], cwd="/", env=elsewhere, capture_output=True, text=True, check=True
    )
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        verb = [sys.executable, "-m", "nanocheck", "run", "--device", "virtual", "--full", "--json", answer]
        start = time.monotonic()
        done = subprocess.run(
            [*verb, "--", python, *launcher, TRAIN, way], capture_output=True, text=True, check=False
        )
        seconds = time.monotonic() - start
        if not answer.exists():
            raise SystemExit(f"{python} {way}: no answer, exit {done.returncode}\n{done.stderr[-3000:]}")
        found = json.loads(answer.read_text())
    result = found["result"]
    main = max(result["processes"], key=lambda each: each["allocated_bytes"])
    printed = re.search(r"^peak (\d+)", done.stdout, re.MULTILINE)
    return {
        "torch": result["environment"]["torch"],
        "python": about.stdout.split()[0],
        "has_nanocheck": about.stdout.split()[1] == "True",
        "way": way,
        "verdict": found["verdict"]["kind"],
        "observed": main["ended"],
        "steps": main["steps"],
        "peak_bytes": main["allocated_bytes"],
        "groups_bytes": sum(each["bytes"] for each in main["groups"]),
        "printed_bytes": int(printed[1]) if printed else 0,
        "reserved_bytes": main["reserved_bytes"],
        "seconds": round(seconds),
    }


def store(rows: list[dict[str, object]]) -> None:
    """Puts rows in, each in the place of an older one of the same torch and way."""
    new = pandas.DataFrame(rows)
    if ROWS.exists():
        new = pandas.concat([pandas.read_csv(ROWS), new]).drop_duplicates(KEY, keep="last")
    release = new["torch"].map(lambda text: tuple(int(each) for each in re.findall(r"\d+", text)[:3]))
    order = new.assign(release=release, number=new["way"].map(WAYS.index)).sort_values(["release", "number"])
    order.drop(columns=["release", "number"]).to_csv(ROWS, index=False)


def table() -> str:
    """A row a torch, as Markdown: the peak in MiB of what is sound, of others why not."""
    rows = pandas.read_csv(ROWS)
    rows["cell"] = [
        f"{row.peak_bytes / 2**20:,.2f}" if is_sound(row) else f"{row.verdict}, {row.observed}"
        for row in rows.itertuples()
    ]
    rows["nanocheck"] = rows["has_nanocheck"].map({True: "in it", False: ""})
    wide = rows.pivot(index=["torch", "python", "nanocheck"], columns="way", values="cell").reindex(
        columns=list(WAYS)
    )
    order = list(dict.fromkeys(zip(rows["torch"], rows["python"], rows["nanocheck"], strict=True)))
    return str(wide.loc[order].reset_index().to_markdown(index=False, disable_numparse=True))


def is_sound(row: Any) -> bool:
    """Whether it was observed to its end, and three accounts of the peak are the same."""
    counts = {row.peak_bytes, row.groups_bytes, row.printed_bytes}
    return row.verdict == "safe" and row.observed == "whole" and len(counts) == 1 and row.peak_bytes > 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pythons", nargs="*", type=Path)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    arguments = parser.parse_args()
    for python in arguments.pythons:
        for way in arguments.ways:
            row = run(python, way)
            print(*(f"{name}={value}" for name, value in row.items()), flush=True)
            store([row])
    print(table())


if __name__ == "__main__":
    main()
