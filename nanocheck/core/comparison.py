"""Did this change break it?

Records are compared with their baselines, both ways, and what is new and meant becomes what is expected.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanocheck.core.baselines import Baseline, Expected, baseline_path, dumps, load, update_command
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.files import write_atomically
from nanocheck.core.result import Record
from nanocheck.core.units import mib

EQUAL, REGRESSED, IMPROVED, MISSING, STALE = KINDS = ("equal", "regressed", "improved", "missing", "stale")

#: Outcomes that a baseline may hold. A crash is never what is expected.
_ACCEPTABLE = ("completed", "oom", "unsupported")
#: From best to worst.
_RANK = {"completed": 0, "oom": 1, "unsupported": 2, "timeout": 3, "crashed": 4}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How a record stands to its baseline: a kind of ``KINDS``, a sentence, and the command that fixes it."""

    kind: str
    sentence: str
    hint: str = ""

    @property
    def fails(self) -> bool:
        """An improvement fails too until it is accepted; a stale baseline judges nothing."""
        return self.kind in (REGRESSED, IMPROVED, MISSING)


@dataclass(frozen=True, kw_only=True)
class Update:
    """What an update of the baselines did, counted."""

    paths: tuple[Path, ...] = ()
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


def compare(record: Record, baseline: Baseline | None, *, hint: str = "") -> Comparison:
    """A record against the baseline of its own environment, or of the nearest other one.

    Virtual peaks, per phase, must be equal to the byte; measured ones within the baseline's relative
    tolerance, both ways. Outcome, attention backend, and an out-of-memory's place and request must be
    equal; so must the retries, of which a measured run only needs to have some or none alike.
    """
    hint = hint or update_command(str(record.device.get("gpu")))
    expected = baseline.configurations.get(record.id) if baseline is not None else None
    if baseline is not None:
        stale = baseline.stale_for(record)
        if stale is not None:
            return Comparison(kind=STALE, sentence=f"stale baseline: {stale}", hint=hint)
    if baseline is None or expected is None:
        return Comparison(
            kind=MISSING,
            sentence=f"{record.id}: expected a baseline, found none; "
            f"this run: {_describe(Expected.of(record))}",
            hint=hint,
        )
    found = Expected.of(record)
    differences = _differences(expected, found, baseline)
    if not differences:
        return Comparison(kind=EQUAL, sentence=f"{record.id}: equal to its baseline: {_describe(found)}")
    better = all(worse is False for worse, _ in differences)
    kind = IMPROVED if better else REGRESSED
    accept = "improved, and not yet accepted" if better else "regressed"
    return Comparison(
        kind=kind,
        sentence=f"{record.id}: {accept}: " + "; ".join(text for _, text in differences),
        hint=f"if this is intended: {hint}" if found.outcome in _ACCEPTABLE else "",
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


@dataclass
class Baselines:
    """All baselines under one folder, read when first asked for.

    Attributes:
        folder: the ``baselines/`` folder.
        options: further options of the command that fixes it, such as `` --reserve 2GiB``.
    """

    folder: Path
    options: str = ""
    _loaded: dict[Path, Baseline] = field(default_factory=dict)

    def for_record(self, record: Record) -> Baseline | None:
        """The baseline of the record's environment; else one of another environment; else ``None``.

        Raises:
            StoredDataError: the file is damaged.
        """
        path = baseline_path(self.folder, record)
        if path.exists():
            return self._load(path, record)
        others = [self._load(each, record) for each in sorted(path.parent.glob("*.json"))]
        alike = [each for each in others if _similarity(each, record)]
        return max(alike, key=lambda each: _similarity(each, record), default=None)

    def compare(self, record: Record) -> Comparison:
        """See ``compare``."""
        return compare(record, self.for_record(record), hint=self.hint(record))

    def hint(self, record: Record) -> str:
        """The command that accepts what the record says."""
        return update_command(str(record.device.get("gpu")), self.options)

    def unused(self, records: Iterable[Record], known: Collection[str]) -> list[str]:
        """Ids with a baseline in the records' environments that are no longer in the matrix (``known``)."""
        found: set[str] = set()
        for record in records:
            path = baseline_path(self.folder, record)
            if path in self._loaded or path.exists():
                found |= set(self._load(path, record).configurations) - set(known)
        return sorted(found)

    def update(self, records: Iterable[Record], *, keep_only: Collection[str] | None = None) -> Update:
        """Accepts these records as what is expected from now on.

        Args:
            keep_only: with it, baselines of other ids are removed and a damaged file is made anew: for a
                run of the whole matrix. Without it, other ids stay as they are.

        Raises:
            RequestError: under CI, or a record is no answer (crashed, timeout).
            StoredDataError: the existing file is damaged and this is not a run of the whole matrix.
        """
        refuse_update_in_ci()
        per_file: dict[Path, list[Record]] = {}
        for record in records:
            if record.outcome not in _ACCEPTABLE:
                raise RequestError(
                    f"{record.id}: expected an answer to store as its baseline, found {record.outcome}",
                    hint="fix the crash first; nothing was written",
                )
            per_file.setdefault(baseline_path(self.folder, record), []).append(record)
        created = changed = unchanged = removed = 0
        texts: dict[Path, str] = {}
        for path, group in per_file.items():
            before = self._before(path, group[0], whole=keep_only is not None)
            after = {record.id: Expected.of(record) for record in group}
            created += len(set(after) - set(before))
            changed += sum(name in before and before[name] != after[name] for name in after)
            unchanged += sum(before.get(name) == after[name] for name in after)
            kept = {name: entry for name, entry in before.items() if keep_only is None or name in keep_only}
            removed += len(before) - len(kept)
            texts[path] = dumps(Baseline.header_of(group[0], {**kept, **after}))
        for path, text in texts.items():
            write_atomically(path, text)
        self._loaded.clear()
        return Update(
            paths=tuple(texts), created=created, changed=changed, unchanged=unchanged, removed=removed
        )

    def _before(self, path: Path, record: Record, *, whole: bool) -> Mapping[str, Expected]:
        if not path.exists():
            return {}
        try:
            baseline = self._load(path, record)
        except StoredDataError:
            if whole:
                return {}
            raise
        # What was made in another environment (a changed card profile, say) must not be mixed in.
        return {} if baseline.stale_for(record) else baseline.configurations

    def _load(self, path: Path, record: Record) -> Baseline:
        if path not in self._loaded:
            self._loaded[path] = load(path, hint=self.hint(record))
        return self._loaded[path]


def _similarity(baseline: Baseline, record: Record) -> int:
    """How near a baseline's environment is to a record's; 0 for another platform, reserve or cap."""
    if any(
        baseline.card.get(name) != record.device.get(name)
        for name in ("gpu", "platform", "reserve_bytes", "capped_from")
    ):
        return 0
    same_torch = baseline.environment.get("torch") == str(record.environment.get("torch"))
    return 1 + 2 * (baseline.provenance == record.provenance) + same_torch
