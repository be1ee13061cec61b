"""A recording: what small trainings computed here, kept to be compared with another day's. No torch.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocheck.core.errors import NanocheckError, StoredDataError
from nanocheck.core.files import dump_rows, read_json, write_atomically
from nanocheck.numerics.tiers import Distance
from nanocheck.numerics.trace import Trace, not_finite

SCHEMA = 1
KIND = "nanocheck recording"
#: No sum over parameters comes near it, and its square is still a number.
MOST = 1e100
MEND = "record it again: nanocheck record FILE"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One plan: what it computed, or why it could not.

    Attributes:
        name: the configuration's.
        plan: ``Plan.to_dict()``.
        trace: None where the run failed.
        reference: what ``error`` is the distance to: ``fp64`` (the formulas), ``fp32`` (the same step) or,
            where there is neither, nothing.
        error: distance of the trace to its reference: the rounding error of this number format, or more.
        failed: why there is no trace; for people.
    """

    name: str
    plan: Mapping[str, Any]
    trace: Trace | None = None
    reference: str = ""
    error: Distance | None = None
    failed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "name": self.name,
            "plan": dict(self.plan),
            "reference": self.reference,
            "error": None if self.error is None else self.error.to_dict(),
            "failed": self.failed,
            "trace": None if self.trace is None else self.trace.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recorded:
        """
        Raises:
            StoredDataError, KeyError, TypeError, ValueError: the data are none.
        """
        trace = None if data["trace"] is None else Trace.from_dict(data["trace"])
        failed, error = str(data["failed"]), data["error"]
        if (trace is None) != bool(failed):
            raise ValueError(f"{data['name']!r}: expected a trace or a reason why there is none")
        if trace is not None:
            _check(trace)
        return cls(
            name=str(data["name"]),
            plan=dict(data["plan"]),
            trace=trace,
            reference=str(data["reference"]),
            error=None if error is None else Distance.from_dict(error),
            failed=failed,
        )


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Everything that one call of ``nanocheck record`` kept.

    Attributes:
        date: day of the runs, ``YYYY-MM-DD``.
        environment: nanocheck, torch, python, device, matrix_unit, threads: whatever can move a bit.
        runs: in order, names unique.
    """

    date: str
    environment: Mapping[str, str]
    runs: tuple[Recorded, ...]

    @property
    def provenance(self) -> str:
        return f"measured, real arithmetic on {self.environment.get('device', 'an unknown device')}"

    @property
    def named(self) -> dict[str, Recorded]:
        """The runs by name."""
        return {run.name: run for run in self.runs}


def save(path: Path, recording: Recording) -> None:
    """Write a recording in one piece, one run a line.

    Raises:
        NanocheckError: a figure of it is not finite; nothing is written.
        MachineError: the file cannot be written.
    """
    for run in recording.runs:
        problem = None if run.trace is None else not_finite(run.trace)
        if problem is not None:
            raise NanocheckError(
                f"expected finite figures to record, found in {run.name}: {problem}; nothing was written",
                hint="this training is broken here: fix it, or leave the configuration out",
            )
    write_atomically(path, dumps(recording))


def dumps(recording: Recording) -> str:
    """The recording's JSON."""
    head = {
        "kind": KIND,
        "schema": SCHEMA,
        "provenance": recording.provenance,
        "date": recording.date,
        "environment": dict(recording.environment),
    }
    return dump_rows(head, "runs", [json.dumps(run.to_dict(), allow_nan=False) for run in recording.runs])


def load(path: Path) -> Recording:
    """The recording in a file.

    Raises:
        StoredDataError: not readable, damaged, of another schema, or no recording at all.
    """
    return of_plain(path, read_json(path, hint=MEND)[0])


def of_plain(path: Path, data: Any) -> Recording:
    """The recording of plain data that ``path`` holds.

    Raises:
        StoredDataError: of another schema, malformed, or no recording at all.
    """
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise StoredDataError(f"{path}: expected a recording, found something else", hint=MEND)
    if data.get("schema") != SCHEMA:
        raise StoredDataError(
            f"{path}: expected a recording of schema {SCHEMA}, found {data.get('schema')!r}", hint=MEND
        )
    try:
        runs = tuple(Recorded.from_dict(each) for each in data["runs"])
        found = Recording(
            date=str(data["date"]),
            environment={str(key): str(value) for key, value in data["environment"].items()},
            runs=runs,
        )
        if len(found.named) != len(runs):
            raise ValueError("a configuration is duplicated")
    except StoredDataError as error:
        raise StoredDataError(f"{path}: {error.problem}", hint=MEND) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoredDataError(f"{path}: malformed recording: {error!r}", hint=MEND) from error
    return found


def _check(trace: Trace) -> None:
    """What judging relies on, and ``Trace.from_dict`` does not look at.

    Raises:
        ValueError: a figure is no number, or the parameters after the last step are missing.
    """
    for index, step in enumerate(trace.steps):
        for name in ("loss", "grad_norm", "scale"):
            if type(getattr(step, name)) not in (int, float):
                raise ValueError(f"{name} of step {index}: expected a number, found {getattr(step, name)!r}")
        if type(step.skipped) is not bool:
            raise ValueError(f"skipped of step {index}: expected true or false, found {step.skipped!r}")
    if not trace.steps or max(trace.parameters, default=None) != len(trace.steps) - 1:
        raise ValueError("expected at least one step, and the parameters after the last one")
    for found in trace.parameters.values():
        for name, each in found.items():
            if any(MOST < abs(value) < math.inf for value in (each.norm, *each.sketch)):
                raise ValueError(f"parameter {name}: expected figures of at most {MOST:g}, found more")
    widths = {len(each.sketch) for found in trace.parameters.values() for each in found.values()}
    if len(widths) > 1:
        raise ValueError(f"sketches of parameters: expected one length, found {sorted(widths)}")
    problem = not_finite(trace)
    if problem is not None:
        raise ValueError(problem)
