"""The results of a project's own tests as files, one for each test and card, for what comes after pytest."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from nanocheck.core.verdict import JudgedRun


def store(run: JudgedRun, folder: Path, root: Path, *, ran_out: bool = False) -> Path:
    """Writes what ``nanocheck run --json`` would write of it.

    The test's name says what ran; of this machine there is no path: places are as the project writes them.

    Args:
        ran_out: an out-of-memory ended the test. For who observed it pytest has caught that, and it crashed.

    Raises:
        MachineError: the folder cannot be written.
    """
    from nanocheck.core.files import write_atomically
    from nanocheck.core.rank_runs import machine_name
    from nanocheck.core.result import Outcome
    from nanocheck.core.verdict import JudgedRun
    from nanocheck.report.run_file import RunFile

    processes = tuple(msgspec.structs.replace(each, command=()) for each in run.result.processes)
    result = msgspec.structs.replace(run.result, command=None, processes=processes)
    if ran_out:
        ended = tuple(
            msgspec.structs.replace(each, oom=msgspec.structs.replace(each.oom, caught=False, recovery=None))
            if each.oom is not None
            else each
            for each in processes
        )
        result = msgspec.structs.replace(result, processes=ended, outcome=Outcome.OOM, detail="")
    run = JudgedRun.of(result, run.margin_bytes)
    text = json.dumps(msgspec.to_builtins(RunFile.with_suggestions(run)), indent=1, ensure_ascii=False)
    text = text.replace(json.dumps(f"{root}/", ensure_ascii=False)[1:-1], "")
    name = hashlib.sha256(f"{result.id}\0{machine_name(result)}".encode(errors="replace")).hexdigest()[:16]
    path = folder / f"{name}.json"
    write_atomically(path, text + "\n")
    return path
