"""What is expected: committed peaks per card, platform, torch version and provenance.

One file per environment, ``baselines/<gpu>/<platform>-torch<version>-<provenance>.json``; one line per
configuration, sorted, so that a change of one peak is a change of one line in a diff. The checksum makes
an edited or merged file an error rather than a silent expectation: only a run writes baselines.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import read_json
from nanocheck.core.result import OUTCOMES, PROVENANCES, Record
from nanocheck.core.units import MIB

SCHEMA = 1

#: Two-sided relative tolerance of measured peaks. Virtual runs are deterministic and compared exactly.
MEASURED_TOLERANCE = 0.005

#: Fields of ``Record.environment`` that must match before two peaks can be compared.
COMPARED_ENVIRONMENT = ("torch", "cuda")
#: Fields of ``Record.device`` that say how much memory there is, and for whom.
_CARD = ("gpu", "platform", "capacity_bytes", "context_bytes", "reserve_bytes", "capped_from")


def update_command(gpu: str, extra: str = "") -> str:
    """The command that writes the baselines of one card."""
    return f"pytest suites/ --gpu {gpu}{extra} --update-baselines"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one configuration is expected to do.

    Attributes:
        outcome: ``completed``, ``oom`` or ``unsupported``.
        retries: the allocator's retries.
        sdpa: the attention backend.
        peaks: phase -> largest (allocated, reserved) bytes of any step.
        oom: phase, step and requested_bytes of the failed request, when the outcome is ``oom``.
    """

    outcome: str
    retries: int
    sdpa: str
    peaks: Mapping[str, tuple[int, int]]
    oom: tuple[str, int, int] | None = None

    @classmethod
    def of(cls, record: Record) -> Expected:
        """What a later run must do to equal this record."""
        peaks: dict[str, tuple[int, int]] = {}
        for peak in record.peaks:
            allocated, reserved = peaks.get(peak.phase, (0, 0))
            peaks[peak.phase] = (max(allocated, peak.allocated_bytes), max(reserved, peak.reserved_bytes))
        oom = None
        if record.oom is not None:
            oom = (record.oom.phase, record.oom.step, record.oom.requested_bytes)
        return cls(
            outcome=record.outcome,
            retries=record.retries,
            sdpa=record.sdpa_backend,
            peaks=peaks,
            oom=oom,
        )

    @property
    def allocated_bytes(self) -> int:
        return max((allocated for allocated, _ in self.peaks.values()), default=0)

    @property
    def reserved_bytes(self) -> int:
        return max((reserved for _, reserved in self.peaks.values()), default=0)

    def to_dict(self) -> dict[str, Any]:
        data: dict[str, Any] = {"outcome": self.outcome, "retries": self.retries, "sdpa": self.sdpa}
        if self.oom is not None:
            data["oom"] = list(self.oom)
        data["peaks"] = {phase: list(self.peaks[phase]) for phase in sorted(self.peaks)}
        return data


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """One baseline file: the environment it holds for, and what is expected there."""

    provenance: str
    card: Mapping[str, Any]
    profile: str
    environment: Mapping[str, str]
    tolerance: float
    configurations: Mapping[str, Expected] = field(default_factory=dict)

    @classmethod
    def header_of(cls, record: Record, configurations: Mapping[str, Expected] | None = None) -> Baseline:
        """An empty baseline (or one of these configurations) for the environment of a record."""
        return cls(
            provenance=record.provenance,
            card={name: record.device.get(name) for name in _CARD},
            profile=profile_of(record),
            environment={
                name: str(record.environment[name])
                for name in (*COMPARED_ENVIRONMENT, "nanocheck")
                if name in record.environment
            },
            tolerance=MEASURED_TOLERANCE if record.provenance == "measured" else 0.0,
            configurations=configurations or {},
        )

    def stale_for(self, record: Record) -> str | None:
        """Why the baseline cannot judge the record, or ``None`` when it can."""
        if self.provenance != record.provenance:
            return f"made from {self.provenance} runs, this run is {record.provenance}"
        for name in COMPARED_ENVIRONMENT:
            expected, found = self.environment.get(name), record.environment.get(name)
            if expected != (None if found is None else str(found)):
                return f"made with {name} {expected}, this run has {name} {found}"
        for name in _CARD:
            if self.card.get(name) != record.device.get(name):
                return f"made for {name} {self.card.get(name)}, this run has {record.device.get(name)}"
        if self.profile != profile_of(record):
            return "made with another profile of this card"
        return None


def profile_of(record: Record) -> str:
    """A short hash of everything the record says of its device: a changed profile is another card."""
    text = json.dumps(dict(record.device), sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def baseline_path(folder: Path, record: Record) -> Path:
    """Where the baseline of a record's environment lives.

    Such as ``rtx4070/linux-torch2.14.1+cu130-virtual.json``.
    """
    device = record.device
    reserve = int(device.get("reserve_bytes") or 0)
    parts = [str(device.get("platform"))]
    if reserve:
        parts.append(f"reserve{reserve / MIB:g}MiB")
    if device.get("capped_from"):
        parts.append(f"capped-{device['capped_from']}")
    parts += [f"torch{record.environment.get('torch')}", record.provenance]
    safe = re.sub(r"[^A-Za-z0-9.+_-]+", "_", "-".join(parts))
    return folder / re.sub(r"[^A-Za-z0-9.+_-]+", "_", str(device.get("gpu"))) / f"{safe}.json"


def dumps(baseline: Baseline) -> str:
    """The file's text: deterministic, one line per configuration, with a checksum of everything else."""
    lines = [
        f' "schema": {SCHEMA},',
        f' "provenance": {json.dumps(baseline.provenance)},',
        f' "card": {json.dumps(dict(sorted(baseline.card.items())))},',
        f' "profile": {json.dumps(baseline.profile)},',
        f' "environment": {json.dumps(dict(sorted(baseline.environment.items())))},',
        f' "tolerance": {json.dumps(baseline.tolerance)},',
    ]
    rows = [
        f"  {json.dumps(name)}: {json.dumps(expected.to_dict())}"
        for name, expected in sorted(baseline.configurations.items())
    ]
    lines += [' "configurations": {', *(",\n".join(rows).splitlines()), " },"]
    body = "{\n" + "\n".join(lines) + "\n"
    return f'{body} "sha256": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


def load(path: Path, *, hint: str | None = None) -> Baseline:
    """The baseline in a file, checked field by field.

    Raises:
        StoredDataError: see ``read_json``; or another schema, a missing, unknown or impossible field, or a
            checksum that does not belong to the text.
    """
    hint = hint or update_command(path.parent.name)
    data, text = read_json(path, hint=hint)

    def wrong(problem: str) -> StoredDataError:
        return StoredDataError(f"{path}: {problem}", hint=hint)

    if not isinstance(data, dict) or type(data.get("schema")) is not int or data["schema"] != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        newer = " (written by a newer nanocheck)" if type(found) is int and found > SCHEMA else ""
        raise wrong(f"expected a baseline of schema {SCHEMA}, found {found!r}{newer}")
    expected_keys = {
        "schema": int,
        "provenance": str,
        "card": dict,
        "profile": str,
        "environment": dict,
        "tolerance": float,
        "configurations": dict,
        "sha256": str,
    }
    different = sorted(set(data) ^ set(expected_keys))
    if different:
        raise wrong(f"missing or unknown fields: {', '.join(different)}")
    for name, kind in expected_keys.items():
        if type(data[name]) is not kind:
            raise wrong(f"{name}: expected {kind.__name__}, found {data[name]!r:.80}")
    if data["provenance"] not in PROVENANCES:
        raise wrong(f"provenance: expected one of {', '.join(PROVENANCES)}, found {data['provenance']!r}")
    if not 0 <= data["tolerance"] < 1:
        raise wrong(f"tolerance: expected 0 or more and below 1, found {data['tolerance']}")
    try:
        configurations = {name: _expected(entry) for name, entry in data["configurations"].items()}
    except (ValueError, TypeError, KeyError) as error:
        name = next(n for n, entry in data["configurations"].items() if _refused(entry))
        line = next((i for i, row in enumerate(text.splitlines(), 1) if json.dumps(name) in row), 0)
        raise StoredDataError(f"{path}:{line}: {name}: {error}", hint=hint) from error
    baseline = Baseline(
        provenance=data["provenance"],
        card=data["card"],
        profile=data["profile"],
        environment=data["environment"],
        tolerance=data["tolerance"],
        configurations=configurations,
    )
    if dumps(baseline) != text:
        raise wrong("its checksum or form is not its own: edited by hand, merged or damaged")
    return baseline


def _expected(entry: Any) -> Expected:
    if not isinstance(entry, dict) or not {"outcome", "retries", "sdpa", "peaks"} <= set(entry):
        raise ValueError(f"expected outcome, retries, sdpa and peaks, found {entry!r:.80}")
    if set(entry) - {"outcome", "retries", "sdpa", "peaks", "oom"}:
        raise ValueError(f"unknown fields in {sorted(entry)}")
    outcome, retries, sdpa, peaks = (entry[name] for name in ("outcome", "retries", "sdpa", "peaks"))
    oom = entry.get("oom")
    if outcome not in OUTCOMES or not _is_count(retries) or not isinstance(sdpa, str):
        raise ValueError(
            f"impossible outcome, retries or sdpa: {outcome!r:.40}, {retries!r:.40}, {sdpa!r:.40}"
        )
    if not isinstance(peaks, dict) or not all(
        isinstance(pair, list) and len(pair) == 2 and all(map(_is_count, pair)) for pair in peaks.values()
    ):
        raise ValueError("peaks: expected [allocated, reserved] bytes per phase")
    if oom is not None and not (
        isinstance(oom, list) and len(oom) == 3 and isinstance(oom[0], str) and all(map(_is_count, oom[1:]))
    ):
        raise ValueError("oom: expected [phase, step, requested bytes]")
    return Expected(
        outcome=outcome,
        retries=retries,
        sdpa=sdpa,
        peaks={phase: (pair[0], pair[1]) for phase, pair in peaks.items()},
        oom=None if oom is None else (oom[0], oom[1], oom[2]),
    )


def _refused(entry: Any) -> bool:
    try:
        _expected(entry)
    except (ValueError, TypeError, KeyError):
        return True
    return False


def _is_count(value: Any) -> bool:
    return type(value) is int and bool(value >= 0)
