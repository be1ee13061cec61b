"""nanochat's own trainer on eight virtual H100, beside what real ones printed.

    python benchmarks/ranks/nanochat/run.py --list
    python benchmarks/ranks/nanochat/run.py d20-october --nanochat CHECKOUT --python ENVIRONMENT/bin/python
    python benchmarks/ranks/nanochat/run.py d20-october ... --store     # ... and keep what was found

Rows, published figures, sources and what was found: ``suites/claims/nanochat_ranks.toml``, which the
claims read. Their code is not ours to ship: ``CHECKOUT`` is a clone of karpathy/nanochat
(its commit is laid out in a folder of its own),
``ENVIRONMENT`` has the row's torch and what nanochat imports (tiktoken, rustbpe, wandb, pyarrow, pandas,
psutil, requests, jinja2, regex). Nothing of the script or of its environment is changed; on the disk is what
nanochat's own ``tok_train`` and ``dataset`` leave there: a tokenizer of so many entries (memory depends on
their number alone) and two shards of text, made here. Where the Hub's FlashAttention 3 is needed,
``stand_ins/kernels.py`` takes its place, which has its memory and no kernels.

A row takes two to three minutes of one core, as its graphs are compiled anew, and 2 to 3 GB of the
machine's memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

FIGURES = Path(__file__).parents[3] / "suites" / "claims" / "nanochat_ranks.toml"
STAND_INS = Path(__file__).parent / "stand_ins"
#: Run by the environment's own Python: its tiktoken and pyarrow must be able to read what it leaves.
PREPARE = STAND_INS / "tokenizer_and_text.py"
MIB = 1 << 20
OUT_OF_MEMORY = ("phase", "step", "where", "requested_bytes", "free_bytes")

Row = dict[str, Any]
Found = dict[str, float | str]


def rows() -> dict[str, Row]:
    """The rows by name."""
    read: dict[str, Row] = tomllib.loads(FIGURES.read_text())["row"]
    return read


def command(row: Row, python: Path) -> list[str]:
    """What runs: nanochat's own command behind ``nanocheck run``."""
    torchrun = [
        str(python.with_name("torchrun")),
        "--standalone",
        "--nproc_per_node=8",
        "-m",
        "scripts.base_train",
    ]
    nanocheck = ["nanocheck", "run", "--gpu", "8xh100", "--ranks", row["ranks"], *row.get("options", [])]
    return [
        sys.executable,
        "-m",
        *nanocheck,
        "--json",
        "answer.json",
        "--",
        *torchrun,
        "--",
        *row["arguments"],
    ]


def run(row: Row, nanochat: Path, python: Path) -> Found:
    """What this row's rank 0 needs here, sizes in MiB.

    Raises:
        RuntimeError: there was no answer.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        archive = subprocess.run(
            ["git", "archive", row["commit"]], cwd=nanochat, capture_output=True, check=True
        )
        subprocess.run(["tar", "x", "-C", name], input=archive.stdout, check=True)
        subprocess.run([str(python), str(PREPARE), name + "/base", str(row["vocabulary"])], check=True)
        environment = os.environ | {
            "NANOCHAT_BASE_DIR": name + "/base",
            # Graphs are compiled anew: with those of an earlier run the validation's first batch (1 MiB) may
            # still wait for Python's garbage collector at the peak of nanochat#443.
            "NANOCHECK_CACHE": name + "/cache",
            **row.get("environment", {}),
        }
        paths = [str(Path(__file__).parents[3]), *([str(STAND_INS)] if row["flash_attention_3"] else [])]
        environment["PYTHONPATH"] = os.pathsep.join(paths)
        ran = subprocess.run(
            command(row, python), cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        if not (folder / "answer.json").exists():
            raise RuntimeError(ran.stdout[-3000:] + ran.stderr[-3000:])
        return figures(json.loads((folder / "answer.json").read_text()))


def figures(answer: dict[str, Any]) -> Found:
    """The figures of a run's answer that the rows keep."""
    [process] = answer["result"]["processes"]
    found: Found = {
        "torch": answer["result"]["environment"]["torch"],
        "outcome": answer["result"]["outcome"],
        "allocated_mib": round(process["allocated_bytes"] / MIB, 2),
        "reserved_mib": round(process["reserved_bytes"] / MIB, 2),
        # Without NCCL's own memory, which is a range; its least is what the virtual card lacks.
        "process_mib": round((process["process_bytes"] - process["nccl_least_bytes"]) / MIB, 2),
        "nccl_least_mib": round(process["nccl_least_bytes"] / MIB, 2),
    }
    if process["oom"]:
        found |= {f"oom_{key}": process["oom"][key] for key in OUT_OF_MEMORY}
    return found


def store(name: str, found: Found) -> None:
    """Writes what was found under its row, in place of what stood there."""
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in found.items())
    text, block = FIGURES.read_text(), f"[row.{name}.here]\n{lines}"
    pattern = rf"\[row\.{re.escape(name)}\.here\]\n(?:[^\[\n].*\n)*"
    FIGURES.write_text(
        re.sub(pattern, lambda _: block, text) if re.search(pattern, text) else f"{text}\n{block}"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("row", nargs="?", choices=sorted(rows()))
    parser.add_argument("--nanochat", type=Path, help="a clone of karpathy/nanochat")
    parser.add_argument("--python", type=Path, help="the Python of an environment with the row's torch")
    parser.add_argument("--store", action="store_true", help="keep what was found")
    parser.add_argument("--list", action="store_true", help="the rows, and what is kept of them")
    args = parser.parse_args()
    if args.list or not (args.row and args.nanochat and args.python):
        for name, row in rows().items():
            print(f"{name}: {row['what']}", f"published: {row['published']}", sep="\n  ")
            print(f"  here: {row.get('here', 'not run')}")
        return 0
    found = run(rows()[args.row], args.nanochat.resolve(), args.python.absolute())
    print(json.dumps(found, indent=2))
    if args.store:
        store(args.row, found)
    return 0 if found == rows()[args.row].get("here") else 1


if __name__ == "__main__":
    sys.exit(main())
