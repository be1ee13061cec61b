"""What a step tells GitHub's runner: the job summary, outputs, and annotations of source lines."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from nanocheck.core.gate import Gate
from nanocheck.core.scrub import scrub
from nanocheck.report.workflow_commands import ANNOTATION_LIMIT, SUMMARY_LIMIT_BYTES, annotation


def add_to_summary(text: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Appends to the job summary; nothing where there is none, or no room left: GitHub drops it all then."""
    place = environment.get("GITHUB_STEP_SUMMARY", "")
    if not place:
        return False
    path = Path(place)
    there = path.stat().st_size if path.is_file() else 0
    data = f"{text.rstrip()}\n\n"
    if there + len(data.encode()) >= SUMMARY_LIMIT_BYTES:
        return False
    with path.open("a", encoding="utf-8") as stream:
        stream.write(data)
    return True


def set_outputs(values: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> None:
    """Outputs of this step, whatever stands in them: each is delimited by a word nobody can know."""
    place = environment.get("GITHUB_OUTPUT", "")
    if not place:
        return
    with Path(place).open("a", encoding="utf-8") as stream:
        for name, value in values.items():
            word = secrets.token_hex(16)
            stream.write(f"{name}<<{word}\n{scrub(value)}\n{word}\n")


def source_annotations(gate: Gate, folder: str = "") -> list[str]:
    """Workflow commands, at most ten: errors for what did not fit, a warning for a line that grew."""
    found = []
    for row in gate.rows:
        prefix = f"{folder}/" if folder else ""
        if row.where:
            path, line = _place(row.where)
            title = f"nanocheck: {row.verdict} on {row.gpu}"
            found.append(annotation("error", row.sentence, title=title, file=prefix + path, line=line))
        change = next(iter(row.diff.changes), None) if row.diff is not None else None
        if change is not None and change.change_bytes > 0 and change.where:
            path, line = _place(change.where)
            text = f"{change.change_bytes:+,} bytes of {change.group} at the peak, on {row.gpu}"
            title = "nanocheck: memory grew"
            found.append(annotation("warning", text, title=title, file=prefix + path, line=line))
    return list(dict.fromkeys(found))[:ANNOTATION_LIMIT]


def _place(where: str) -> tuple[str, int]:
    path, _, line = where.rpartition(":")
    return (path, int(line)) if line.isdigit() else (where, 0)
