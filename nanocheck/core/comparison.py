"""Did this change break it? Results are compared with their baselines, both ways. Pure."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from nanocheck.core.baselines import Baseline, Expected, update_command
from nanocheck.core.device import Device
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.units import mib
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES

#: Outcomes that a baseline may hold. A crash is never what is expected.
ACCEPTABLE = (Outcome.COMPLETED, Outcome.OOM, Outcome.UNSUPPORTED)
#: Holders that a comparison names.
_MOVED = 6
#: From best to worst.
_RANK = {name: rank for rank, name in enumerate(("completed", "oom", "unsupported", "timeout", "crashed"))}


class ComparisonKind(StrEnum):
    """How a result stands to its baseline."""

    EQUAL = "equal"
    REGRESSED = "regressed"
    IMPROVED = "improved"  # fails too until it is accepted
    MISSING = "missing"
    DRIFTED = "drifted"  # against another environment's: the verdict holds, bytes are only reported
    STALE = "stale"  # of another environment that does not know this configuration: judges nothing


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a result stands to its baseline, in a sentence, and the command that fixes it."""

    kind: ComparisonKind
    sentence: str
    hint: str = ""

    @property
    def fails(self) -> bool:
        """An improvement fails too until it is accepted; a stale baseline judges nothing."""
        return self.kind in (ComparisonKind.REGRESSED, ComparisonKind.IMPROVED, ComparisonKind.MISSING)


def compare(
    result: RunResult,
    baseline: Baseline | None,
    *,
    hint: str = "",
    margin_bytes: int = DEFAULT_MARGIN_BYTES,
) -> Comparison:
    """A result against the baseline of its own environment, or of the nearest other one.

    Virtual peaks, per phase, must be equal to the byte; measured ones within the baseline's relative
    tolerance, both ways. Outcome, attention backend, and an out-of-memory's place and request must be
    equal; so must the retries, of which a measured run only needs to have some or none alike.

    Bytes of another environment, an older torch for one, are not what this one's must be. Its verdicts are:
    what was safe there must not be tight or out of memory here without somebody's accepting it.
    """
    hint = hint or update_command(result.device.gpu)
    expected = baseline.configurations.get(result.id) if baseline is not None else None
    if baseline is not None:
        stale = baseline.stale_for(result)
        if stale is not None:
            return _against_another(result, expected, stale, margin_bytes, hint)
    if baseline is None or expected is None:
        return Comparison(
            kind=ComparisonKind.MISSING,
            sentence=f"{result.id}: expected a baseline, found none; "
            f"this run: {_describe(Expected.of(result))}",
            hint=hint,
        )
    found = Expected.of(result)
    differences = _differences(expected, found, baseline)
    if not differences:
        return Comparison(
            kind=ComparisonKind.EQUAL, sentence=f"{result.id}: equal to its baseline: {_describe(found)}"
        )
    better = all(worse is False for worse, _ in differences)
    kind = ComparisonKind.IMPROVED if better else ComparisonKind.REGRESSED
    accept = "improved, and not yet accepted" if better else "regressed"
    return Comparison(
        kind=kind,
        sentence=f"{result.id}: {accept}: "
        + "; ".join(text for _, text in differences)
        + _moved(expected, found),
        hint=f"if this is intended: {hint}" if found.outcome in ACCEPTABLE else "",
    )


def _against_another(
    result: RunResult, expected: Expected | None, stale: str, margin_bytes: int, hint: str
) -> Comparison:
    """With the nearest baseline that there is: does the verdict hold?"""
    if expected is None:
        return Comparison(kind=ComparisonKind.STALE, sentence=f"stale baseline: {stale}", hint=hint)
    found = Expected.of(result)
    before, after = (_standing(each, result.device, margin_bytes) for each in (expected, found))
    drift = _drift(expected, found)
    if _STANDINGS.index(after) > _STANDINGS.index(before):
        return Comparison(
            kind=ComparisonKind.REGRESSED,
            sentence=f"{result.id}: expected {before} as in the nearest baseline ({stale}), found {after}: "
            f"{_describe(found)}{drift}",
            hint=f"if this is intended: {hint}" if found.outcome in ACCEPTABLE else "",
        )
    return Comparison(
        kind=ComparisonKind.DRIFTED,
        sentence=f"{result.id}: {after}, no worse than in the nearest baseline ({stale}){drift}",
        hint=f"to hold its bytes, too: {hint}",
    )


#: From best to worst.
_STANDINGS = ("safe", "tight", "oom", "no answer")


def _standing(found: Expected, device: Device, margin_bytes: int) -> str:
    """The verdict, by what a baseline holds of a run: the rules of ``verdict.classify``."""
    if found.outcome is not Outcome.COMPLETED:
        return "oom" if found.outcome is Outcome.OOM else "no answer"
    room = device.surely_available_bytes - found.reserved_bytes
    return "safe" if room >= margin_bytes and not found.retries else "tight"


def _drift(expected: Expected, found: Expected) -> str:
    if Outcome.COMPLETED not in (expected.outcome, found.outcome) or expected.outcome != found.outcome:
        return ""
    pairs = [
        ("allocated", expected.allocated_bytes, found.allocated_bytes),
        ("reserved", expected.reserved_bytes, found.reserved_bytes),
    ]
    moved = [f"{what} {(b - a) / a:+.3%}" for what, a, b in pairs if a and a != b]
    return f"; drift: {', '.join(moved)}" if moved else "; the same bytes"


def _moved(expected: Expected, found: Expected) -> str:
    """Who holds more or less at the peak than before, where that is stored; an edited line is both."""
    if not expected.holders:
        return ""
    names = {*expected.holders, *found.holders}
    moved = [(found.holders.get(name, 0) - expected.holders.get(name, 0), name) for name in names]
    largest = sorted((each for each in moved if each[0]), key=lambda each: (-abs(each[0]), -each[0], each[1]))
    return "".join(
        f"\n  {'+' if size > 0 else '-'}{mib(abs(size))} MiB {name}" for size, name in largest[:_MOVED]
    )


def _differences(expected: Expected, found: Expected, baseline: Baseline) -> list[tuple[bool | None, str]]:
    """(worse: yes, no, or neither; what was expected and found) for everything that differs."""
    result: list[tuple[bool | None, str]] = []
    if expected.outcome != found.outcome:
        worse = _RANK[found.outcome] > _RANK[expected.outcome]
        result.append((worse, f"expected {_describe(expected)}, found {_describe(found)}"))
        return result
    if expected.sdpa != found.sdpa:
        result.append((None, f"attention backend: expected {expected.sdpa}, found {found.sdpa}"))
    exact = baseline.tolerance == 0
    before, after = expected.retries, found.retries
    if before != after if exact else bool(before) != bool(after):
        result.append((after > before, f"allocator retries: expected {before}, found {after}"))
    if expected.oom != found.oom:
        larger: bool | None = None
        if expected.oom and found.oom and expected.oom[:2] == found.oom[:2]:
            larger = found.oom[2] > expected.oom[2]
        result.append((larger, f"out of memory: expected {_place(expected)}, found {_place(found)}"))
    for phase in sorted({*expected.peaks, *found.peaks}):
        one, other = expected.peaks.get(phase), found.peaks.get(phase)
        if one is None or other is None:
            here = "only in the baseline" if other is None else "not in the baseline"
            result.append((None, f"{phase}: a phase {here}"))
            continue
        for what, a, b in zip(("allocated", "reserved"), one, other, strict=True):
            if abs(b - a) > baseline.tolerance * a:
                percent = f", {(b - a) / a:+.3%}" if a else ""
                result.append(
                    (
                        b > a,
                        f"{phase} {what}: expected {mib(a)} MiB, found {mib(b)} MiB "
                        f"({'+' if b > a else '-'}{mib(abs(b - a))} MiB, {b - a:+d} bytes{percent})",
                    )
                )
    return result


def _describe(expected: Expected) -> str:
    if expected.outcome == "oom":
        return f"oom ({_place(expected)})"
    if expected.outcome != "completed":
        return expected.outcome
    return (
        f"completed at {mib(expected.allocated_bytes)} MiB allocated, {mib(expected.reserved_bytes)} reserved"
    )


def _place(expected: Expected) -> str:
    if expected.oom is None:
        return "no details"
    phase, step, requested = expected.oom
    return f"{phase} of step {step} asking for {requested:,} bytes"
