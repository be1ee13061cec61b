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
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec

from nanocheck.core.device import Device
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.files import check_schema, read_json, to_typed
from nanocheck.core.result import Holding, Outcome, Provenance, RunResult
from nanocheck.core.units import MIB

SCHEMA = 1

#: Two-sided relative tolerance of measured peaks. Virtual runs are deterministic and compared exactly.
MEASURED_TOLERANCE = 0.005

#: Fields of ``Environment`` that must match before two peaks can be compared.
COMPARED_ENVIRONMENT = ("torch", "cuda")
#: Fields of ``Device`` that say how much memory there is, and for whom.
_CARD = ("gpu", "platform", "capacity_bytes", "context_bytes", "reserve_bytes", "capped_from")

_Count = Annotated[int, msgspec.Meta(ge=0)]


def update_command(gpu: str, extra: str = "") -> str:
    """The command that writes the baselines of one card."""
    return f"pytest suites/ --gpu {gpu}{extra} --update-baselines"


class Expected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one configuration is expected to do.

    Attributes:
        retries: the allocator's retries.
        sdpa: the attention backend.
        oom: phase, step and requested_bytes of the failed request, when the outcome is ``oom``.
        peaks: phase -> largest (allocated, reserved) bytes of any step.
        holders: of a project's test, who held most at the allocated peak: group and source line -> bytes. Not
            compared; they say what grew.
    """

    outcome: Outcome
    retries: _Count
    sdpa: str
    oom: tuple[str, _Count, _Count] | None = None
    peaks: Mapping[str, tuple[_Count, _Count]]
    holders: Mapping[str, _Count] = {}

    @classmethod
    def of(cls, result: RunResult) -> Expected:
        """What a later run must do to equal this result."""
        main, oom = result.main, result.oom
        return cls(
            outcome=result.outcome,
            retries=main.retries,
            sdpa=main.attention,
            peaks=dict(sorted(main.phase_peaks().items())),
            oom=None if oom is None else (oom.phase, oom.step, oom.requested_bytes),
            holders={} if result.test is None else _holders(main.largest),
        )

    @property
    def allocated_bytes(self) -> int:
        return max((allocated for allocated, _ in self.peaks.values()), default=0)

    @property
    def reserved_bytes(self) -> int:
        return max((reserved for _, reserved in self.peaks.values()), default=0)


def _holders(largest: Iterable[Holding]) -> dict[str, int]:
    """By the line's text, not its number: what stands above it may grow."""
    found: Counter[str] = Counter()
    for each in largest:
        found[f"{each.group} at `{(each.line or each.where or '?').strip()}`"] += each.bytes
    return dict(found)


class _Header(msgspec.Struct, frozen=True, kw_only=True):
    provenance: Provenance
    card: dict[str, str | int | None]
    profile: str
    environment: dict[str, str]
    tolerance: Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Baseline(_Header, frozen=True, kw_only=True):
    """One baseline file: the environment it holds for, and what is expected there."""

    configurations: Mapping[str, Expected] = {}

    @classmethod
    def header_of(cls, result: RunResult, configurations: Mapping[str, Expected] | None = None) -> Baseline:
        """An empty baseline (or one of these configurations) for the environment of a result."""
        environment = msgspec.to_builtins(result.environment)
        return cls(
            provenance=result.provenance,
            card={name: getattr(result.device, name) for name in _CARD},
            profile=profile_of(result.device),
            environment={
                name: str(environment[name])
                for name in (*COMPARED_ENVIRONMENT, "nanocheck")
                if environment[name] is not None
            },
            tolerance=MEASURED_TOLERANCE if result.provenance is Provenance.MEASURED else 0.0,
            configurations=configurations or {},
        )

    def stale_for(self, result: RunResult) -> str | None:
        """Why nothing can be compared with the baseline, or ``None`` when it can."""
        if self.provenance != result.provenance:
            return f"made from {self.provenance} runs, this run is {result.provenance}"
        for name in COMPARED_ENVIRONMENT:
            expected, found = self.environment.get(name), getattr(result.environment, name)
            if expected != found:
                return f"made with {name} {expected}, this run has {name} {found}"
        for name in _CARD:
            if self.card.get(name) != getattr(result.device, name):
                return f"made for {name} {self.card.get(name)}, this run has {getattr(result.device, name)}"
        if self.profile != profile_of(result.device):
            return "made with another profile of this card"
        return None


def profile_of(device: Device) -> str:
    """A short hash of everything a result says of its device: a changed profile is another card."""
    facts = msgspec.to_builtins(device)
    for said in ("capacity_source", "host", "notes"):  # of how a figure is known; they change none
        del facts[said]
    if device.capacity_least_bytes is None:  # of a card with one reading nothing is said about a second
        del facts["capacity_least_bytes"]
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def release_of(torch: str | None) -> int:
    """A torch's major and minor version as one number, so that nearer releases are nearer numbers; else 0."""
    found = re.match(r"(\d+)\.(\d+)", torch or "")
    return int(found[1]) * 1000 + int(found[2]) if found else 0


def baseline_path(folder: Path, result: RunResult) -> Path:
    """Where the baseline of a result's environment lives.

    Such as ``rtx4070/linux-torch2.14.1+cu130-virtual.json``.
    """
    device = result.device
    parts = [device.platform]
    if device.reserve_bytes:
        parts.append(f"reserve{device.reserve_bytes / MIB:g}MiB")
    if device.capped_from:
        parts.append(f"capped-{device.capped_from}")
    parts += [f"torch{result.environment.torch}", result.provenance]
    safe = re.sub(r"[^A-Za-z0-9.+_-]+", "_", "-".join(parts))
    return folder / re.sub(r"[^A-Za-z0-9.+_-]+", "_", device.gpu) / f"{safe}.json"


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
        f"  {json.dumps(name)}: {json.dumps(msgspec.to_builtins(expected))}"
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
    check_schema(data, what="a baseline", schema=SCHEMA, where=str(path), hint=hint)
    header = to_typed(data, _Header, what="a baseline", where=str(path), hint=hint)
    entries = to_typed(
        data.get("configurations"), dict[str, Any], what="a baseline", where=str(path), hint=hint
    )
    configurations = {}
    for name, entry in entries.items():
        line = next((i for i, row in enumerate(text.splitlines(), 1) if json.dumps(name) in row), 0)
        configurations[name] = to_typed(entry, Expected, what=name, where=f"{path}:{line}", hint=hint)
    baseline = Baseline(**msgspec.structs.asdict(header), configurations=configurations)
    if dumps(baseline) != text:
        raise StoredDataError(
            f"{path}: its checksum or form is not its own: edited by hand, merged or damaged", hint=hint
        )
    return baseline


def writing_forbidden() -> bool:
    """Whether this is CI (every large CI service sets ``CI``), where baselines are only read."""
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")


def refuse_update_in_ci() -> None:
    """
    Raises:
        RequestError: this is CI.
    """
    if writing_forbidden():
        raise RequestError(
            f"--update-baselines: expected a person's machine, found CI={os.environ['CI']}: "
            "CI only reads baselines",
            hint="run the command at home, look at the diff and commit it",
        )
