"""xMem's own benchmark: 76 trainings that its authors measured on an RTX 3060, here on a virtual one.

xMem (Middleware 2025, Stone-ResearchLife/xMem) predicts the memory of PyTorch trainings, and published what
it measured, its own predictions and those of three other tools. Each row is run as theirs was
(benchmarks/xmem_train.py) under ``nanocheck run`` in a process of its own. In an environment of its own, with
the versions nearest to theirs:

    python -m venv xmem && . xmem/bin/activate
    pip install -e . torch==2.8.0 transformers==4.51.3
    python benchmarks/xmem.py --jobs 2             # all rows, about 20 minutes on two idle cores
    python benchmarks/xmem.py distilgpt2_AdamW_15  # rows whose names contain this
    python benchmarks/xmem.py --stored             # the tables of the stored result; nothing is run
    python benchmarks/xmem.py --check              # does a new run give what is stored? exit code 1 if not
    python benchmarks/xmem.py --pages              # write the stored result's tables into README.md and docs/

Compared are xMem's *measured* bytes, NVML's at the peak less the first sample, with PyTorch's *reserved* ones
(virtual): by the first sample the CUDA context was there. The other tools' figures are theirs; xMem's and
DNNMem's contain the framework's memory as it was measured on the card after the real run.

``data/xmem_card.toml`` is the card with the memory that the rows state; ``--catalog`` takes nanocheck's own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import xmem_data as data
import xmem_run
import xmem_tables as tables


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="parts of a row's name")
    parser.add_argument("--jobs", type=int, default=1, help="rows at the same time, up to 3 GiB each")
    parser.add_argument("--catalog", action="store_true", help="the RTX 3060 of nanocheck's catalog")
    parser.add_argument("--stored", action="store_true", help="run nothing, show the stored result")
    parser.add_argument("--check", action="store_true", help="compare with the stored result")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the result as JSON")
    parser.add_argument("--pages", action="store_true", help="run nothing, write the pages' tables anew")
    return parser


def main() -> None:
    parser = arguments()
    given = parser.parse_args()
    if given.pages:
        for page, text in tables.pages(data.rows(), data.load()).items():
            page.write_text(text)
        return
    rows = [row for row in data.rows() if not given.only or any(part in row.name for part in given.only)]
    if not rows:
        parser.error(f"no row's name contains {' or '.join(given.only)}")
    gpu = xmem_run.CATALOGS if given.catalog else xmem_run.STATED
    result = data.load() if given.stored else xmem_run.run_all(rows, gpu, given.jobs)
    if given.save:
        data.save(result, given.save)
    print(f"MiB, {result.provenance}; bold: a wrong verdict. {result.card}, torch {result.torch}\n")
    for table in (tables.whole, tables.far, tables.summary):
        print(table(rows, result), end="\n\n")
    told = xmem_run.differences(result, data.load()) if given.check else []
    if told:
        sys.exit("\n".join(told))


if __name__ == "__main__":
    main()
