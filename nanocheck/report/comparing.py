"""Which peaks and verdicts changed between two memory reports? Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanocheck.baselines import MEASURED_TOLERANCE, Expected
from nanocheck.errors import RequestError
from nanocheck.report.data import Report, Row

#: What each verdict says of a configuration.
VERDICTS: Mapping[str, str] = {
    "equal": "every peak of every phase is the same to the byte",
    "close": f"measured, and within {MEASURED_TOLERANCE:.1%}, both ways",
    "moved": "a peak, a verdict, the attention backend or the place of an out-of-memory is another one",
}
_ENVIRONMENT = ("torch", "cuda", "cudnn", "python", "nanocheck", "virtual_gpu")
_CARD = ("name", "platform", "capacity_bytes", "context_bytes", "reserve_bytes", "capped_from")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One peak: the largest of a phase over all steps, in bytes; ``what``: ``allocated`` or ``reserved``."""

    phase: str
    what: str
    before: int
    after: int

    @property
    def bytes(self) -> int:
        """How much more it is now."""
        return self.after - self.before


@dataclass(frozen=True, kw_only=True)
class Moved:
    """One configuration of both reports.

    Attributes:
        name: the configuration's.
        verdict: a key of ``VERDICTS``.
        kinds: before and after: safe, tight, oom, ...
        changes: the peaks that differ, the largest difference first.
        notes: what else differs.
    """

    name: str
    verdict: str
    kinds: tuple[str, str]
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Two reports.

    Attributes:
        rows: of the configurations that both have, in the order of the first.
        only_before, only_after: names of the others.
        before, after: environment and card; several values of one name joined by ``or``.
    """

    rows: tuple[Moved, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    before: Mapping[str, str]
    after: Mapping[str, str]

    @property
    def moved(self) -> bool:
        return any(row.verdict == "moved" for row in self.rows)

    @property
    def differences(self) -> list[tuple[str, str, str]]:
        """What differs in environment and card: name, before, after."""
        pairs = ((name, self.before[name], self.after[name]) for name in self.before)
        return [each for each in pairs if each[1] != each[2]]

    @property
    def counts(self) -> dict[str, int]:
        """Verdict -> how many, without zeros."""
        found = Counter(row.verdict for row in self.rows)
        return {verdict: found[verdict] for verdict in VERDICTS if found[verdict]}


def compare(before: Report, after: Report) -> Compared:
    """
    Raises:
        RequestError: they have no configuration in common.
    """
    old = {row.record.id: row for row in before.rows}
    new = {row.record.id: row for row in after.rows}
    rows = tuple(judge(row, new[name]) for name, row in old.items() if name in new)
    if not rows:
        raise RequestError(
            "expected two reports with configurations in common, found none",
            mend="run both with the same matrix",
        )
    return Compared(
        rows=rows,
        only_before=tuple(name for name in old if name not in new),
        only_after=tuple(name for name in new if name not in old),
        before=_around(before),
        after=_around(after),
    )


def judge(before: Row, after: Row) -> Moved:
    """What changed of one configuration."""
    old, new = Expected.of(before.record), Expected.of(after.record)
    changes = _changes(old, new)
    exact = before.record.provenance == "virtual" == after.record.provenance
    tolerance = 0.0 if exact else MEASURED_TOLERANCE
    notes = [
        f"{what}: {a} -> {b}"
        for what, a, b in (
            ("outcome", old.outcome, new.outcome),
            ("attention backend", old.sdpa, new.sdpa),
            ("out of memory", _place(old), _place(new)),
            (
                "allocator retries",
                *((old.retries, new.retries) if exact else (bool(old.retries), bool(new.retries))),
            ),
            ("phases", *_phases(old, new)),
        )
        if a != b
    ]
    kinds = (before.verdict.kind, after.verdict.kind)
    far = any(abs(each.bytes) > tolerance * each.before for each in changes)
    if before.record.provenance != after.record.provenance:
        notes.append(f"provenance: {before.record.provenance} -> {after.record.provenance}")
        moved = far or kinds[0] != kinds[1] or len(notes) > 1
    else:
        moved = far or kinds[0] != kinds[1] or bool(notes)
    verdict = "moved" if moved else "close" if changes else "equal"
    return Moved(
        name=before.record.id,
        verdict=verdict,
        kinds=kinds,
        changes=tuple(sorted(changes, key=lambda each: -abs(each.bytes))),
        notes=tuple(notes),
    )


def _changes(old: Expected, new: Expected) -> list[Change]:
    found = []
    for phase in (each for each in old.peaks if each in new.peaks):
        for what, a, b in zip(("allocated", "reserved"), old.peaks[phase], new.peaks[phase], strict=True):
            if a != b:
                found.append(Change(phase=phase, what=what, before=a, after=b))
    return found


def _phases(old: Expected, new: Expected) -> tuple[str, str]:
    """Those that only one of the two reached."""
    lonely = [sorted(set(a.peaks) - set(b.peaks)) for a, b in ((old, new), (new, old))]
    return ", ".join(lonely[0]) or "none more", ", ".join(lonely[1]) or "none more"


def _place(expected: Expected) -> str:
    if expected.oom is None:
        return "none"
    phase, step, requested = expected.oom
    return f"{phase} of step {step} asking for {requested:,} bytes"


def _around(report: Report) -> dict[str, str]:
    def values(where: tuple[Mapping[str, Any], ...], name: str) -> str:
        return " or ".join(dict.fromkeys(str(each.get(name, "-")) for each in where)) or "-"

    found = {name: values(report.environments, name) for name in _ENVIRONMENT}
    found |= {name: values(report.devices, name) for name in _CARD}
    return {**found, "provenance": " or ".join(report.provenances) or "-"}
