"""Did every process that used a GPU use the one that was asked for? By what the processes themselves saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nanocheck.core.errors import MachineError


def refuse_other_gpus(folder: Path) -> None:
    """After a run on the virtual GPU: nobody may take what a real card did for its answer.

    Something between us and the script can drop ``LD_PRELOAD``: ``env -i``, ``sudo``, a container, a program
    that is set-uid. Then PyTorch finds the machine's own card.

    Args:
        folder: where the processes wrote their event logs.

    Raises:
        MachineError: a process initialised CUDA and the virtual GPU was not loaded in it.
    """
    others = [start for start in _starts(folder) if start.get("virtual") is None]
    if others:
        seen = "; ".join(f"process {each.get('pid')} on {each.get('device')}" for each in others[:4])
        raise MachineError(
            f"expected every process on the virtual GPU, found {seen}: no answer, since what they did is not "
            "what this card would do",
            hint="keep LD_PRELOAD and NANOCHECK_CARD in the environment of what the command starts "
            "(env -i, sudo and containers drop them)",
        )


def _starts(folder: Path) -> Iterator[dict[str, Any]]:
    """What each process said when it initialised CUDA; leniently, it may have died while it did."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    entry = json.loads(line)
                except (ValueError, RecursionError):
                    continue
                if isinstance(entry, dict) and entry.get("kind") == "start":
                    yield entry
                    break
