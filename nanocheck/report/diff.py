"""Which peaks and verdicts changed between two memory reports? Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanocheck.core.baselines import MEASURED_TOLERANCE, Expected
from nanocheck.core.device import Device
from nanocheck.core.errors import RequestError
from nanocheck.core.pairing import Compared, pair
from nanocheck.core.result import Environment, Provenance
from nanocheck.report.report_file import Report, Row

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


def compare(before: Report, after: Report) -> Compared[Moved]:
    """
    Raises:
        RequestError: they have no configuration in common.
    """
    rows, only_before, only_after = pair(_named(before), _named(after), diff_rows)
    if not rows:
        raise RequestError(
            "expected two reports with configurations in common, found none",
            hint="run both with the same matrix",
        )
    return Compared(
        rows=rows,
        only_before=only_before,
        only_after=only_after,
        before=_around(before),
        after=_around(after),
        verdicts=VERDICTS,
        moving=("moved",),
    )


def _named(report: Report) -> dict[str, Row]:
    return {row.id: row for row in report.rows}


def diff_rows(before: Row, after: Row) -> Moved:
    """What changed of one configuration."""
    old, new = Expected.of(before.result), Expected.of(after.result)
    changes = _changes(old, new)
    exact = before.result.provenance is Provenance.VIRTUAL is after.result.provenance
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
    kinds = (before.verdict.kind.value, after.verdict.kind.value)
    far = any(abs(each.bytes) > tolerance * each.before for each in changes)
    if before.result.provenance != after.result.provenance:
        notes.append(f"provenance: {before.result.provenance} -> {after.result.provenance}")
        moved = far or kinds[0] != kinds[1] or len(notes) > 1
    else:
        moved = far or kinds[0] != kinds[1] or bool(notes)
    verdict = "moved" if moved else "close" if changes else "equal"
    return Moved(
        name=before.id,
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
    unmatched = [sorted(set(a.peaks) - set(b.peaks)) for a, b in ((old, new), (new, old))]
    return ", ".join(unmatched[0]) or "none more", ", ".join(unmatched[1]) or "none more"


def _place(expected: Expected) -> str:
    if expected.oom is None:
        return "none"
    phase, step, requested = expected.oom
    return f"{phase} of step {step} asking for {requested:,} bytes"


def _around(report: Report) -> dict[str, str]:
    def values(where: Sequence[Environment | Device], name: str) -> str:
        found = [getattr(each, name) for each in where]
        return " or ".join(dict.fromkeys("-" if each is None else str(each) for each in found)) or "-"

    found = {name: values(report.environments, name) for name in _ENVIRONMENT}
    found |= {name: values(report.devices, name) for name in _CARD}
    return {**found, "provenance": " or ".join(report.provenances) or "-"}
