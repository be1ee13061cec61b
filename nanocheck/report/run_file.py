"""What ``nanocheck run --json`` writes: a run, its verdict, and what further runs of the command found.

Its JSON Schema is ``docs/run-result.schema.json``; ``python docs/generate.py`` writes it.

Schema history (``SCHEMA``):
1. one mapping of a command's answer.
2. the result, typed, beside its verdict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nanocheck.core import schemas
from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import read_typed
from nanocheck.core.step_time import StepTime
from nanocheck.core.verdict import JudgedRun
from nanocheck.search.candidates import Suggestions

SCHEMA = 2
_HINT = "run it again: nanocheck run --json FILE -- ..."


class RunFile(JudgedRun, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A judged run; of ``--suggest`` further runs; of ``--time`` how long a step would take, *modelled*."""

    schema: int = SCHEMA
    suggestions: Suggestions | None = None
    step_time: StepTime | None = None

    @classmethod
    def with_suggestions(
        cls, run: JudgedRun, suggestions: Suggestions | None = None, step_time: StepTime | None = None
    ) -> RunFile:
        """What is written of a run."""
        return cls(
            result=run.result,
            margin_bytes=run.margin_bytes,
            verdict=run.verdict,
            suggestions=suggestions,
            step_time=step_time,
        )


def load(path: Path) -> RunFile:
    """The run in a JSON file.

    Raises:
        StoredDataError: the file is damaged or of another schema.
    """
    found = read_typed(path, RunFile, what="a run", schema=SCHEMA, hint=_HINT)
    for process in found.result.processes:
        if process.timeline is not None:
            columns = 2 + len(process.timeline.groups)
            if any(len(point) != columns for point in process.timeline.points):
                raise StoredDataError(
                    f"{path}: malformed run: expected {columns} numbers in each point of a timeline",
                    hint=_HINT,
                )
    return found


def json_schema() -> dict[str, Any]:
    """The JSON Schema of what is written, from the types themselves."""
    return schemas.json_schema(RunFile, f"nanocheck run result, schema {SCHEMA}")
