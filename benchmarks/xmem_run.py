"""Running the rows of benchmarks/xmem.py under ``nanocheck run``, each in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xmem_data as data
import xmem_tables as tables

PROGRAM = Path(__file__).parent / "xmem_train.py"
#: ``nanocheck run --gpu``: the card with the memory that xMem's files state, and that of nanocheck's catalog.
STATED = ("rtx3060-xmem", "--gpus", str(data.CARD))
CATALOGS = ("rtx3060",)
MIB = 1 << 20


def run(row: data.Row, gpu: tuple[str, ...], *more: str) -> tuple[data.Answer, float]:
    """What nanocheck says of one row, and MiB of the card (0 where it says nothing).

    A row that breaks is an answer too, with its reason. ``reserved_mib`` is less what was reserved before the
    training began: nothing, but with ``--earlier-task`` in ``more``.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "answer.json"
        mode = str(row.zero_grad_mode or 0)  # null in xMem's files, which its loop takes for 0
        command = [sys.executable, "-m", "nanocheck", "run", "--device", "virtual", "--gpu", *gpu, "--full"]
        command += ["--json", str(file), "--", sys.executable, str(PROGRAM), row.model]
        command += ["--batch", str(row.batch), "--optimizer", row.optimizer, "--zero-grad-mode", mode, *more]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        if not file.exists():
            last = " ".join(line.strip() for line in ran.stderr.strip().splitlines()[-3:])
            return data.Answer("no answer", None, None, None, last), 0.0
        answer = json.loads(file.read_text())
    capacity = answer["result"]["device"]["capacity_bytes"] / MIB
    return _answer(answer["result"], answer["verdict"], ran.stdout), capacity


def _answer(result: dict[str, Any], verdict: dict[str, Any], printed: str) -> data.Answer:
    kind = verdict["kind"]
    if len(result["processes"] or []) != 1:
        return data.Answer(kind, None, None, None, verdict["sentence"])
    (process,) = result["processes"]
    before = re.search(r"^before (\d+)$", printed, re.MULTILINE)
    return data.Answer(
        kind,
        (process["reserved_bytes"] - (int(before[1]) if before else 0)) / MIB,
        round(process["allocated_bytes"] / MIB, 2),
        process["retries"],
        "" if kind in ("safe", "tight") else verdict["sentence"],
    )


def run_all(rows: list[data.Row], gpu: tuple[str, ...], jobs: int) -> data.Result:
    """Every row, ``jobs`` at a time, and those far off again; each is told on standard error as it ends."""
    answers: dict[str, data.Answer] = {}
    capacity = 0.0
    with ThreadPoolExecutor(jobs) as pool:
        for row, (answer, usable) in zip(rows, pool.map(lambda each: run(each, gpu), rows), strict=True):
            answers[row.name], capacity = answer, usable or capacity
            print(f"{row.name}: measured {row.measured_mib}, {answer}", file=sys.stderr, flush=True)
        far = [row for row in rows if (said := answers[row.name].prediction) and tables.is_far(said, row)]
        again = pool.map(lambda row: run(row, gpu, "--earlier-task")[0].reserved_mib, far)
        later = {row.name: mib for row, mib in zip(far, again, strict=True) if mib is not None}
    return data.Result(
        provenance="virtual",
        torch=importlib.metadata.version("torch"),
        transformers=importlib.metadata.version("transformers"),
        card=gpu[0],
        capacity_mib=capacity,
        rows=answers,
        later=later,
    )


def differences(new: data.Result, stored: data.Result) -> list[str]:
    """Rows of ``new`` whose figures are not the stored ones, and versions that differ."""
    told = [
        f"{name}: {getattr(new, name)}, stored is {getattr(stored, name)}"
        for name in ("torch", "transformers", "card", "capacity_mib")
        if getattr(new, name) != getattr(stored, name)
    ]
    return told + [
        f"{name}: {answer}, stored is {stored.rows.get(name)}"
        for name, answer in new.rows.items()
        if answer != stored.rows.get(name)
    ]
