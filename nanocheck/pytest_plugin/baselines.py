"""All baselines under one folder: which file is for a result, what is unused, and what an update accepts."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanocheck.core.baselines import (
    Baseline,
    Expected,
    baseline_path,
    dumps,
    load,
    refuse_update_in_ci,
    release_of,
    update_command,
)
from nanocheck.core.comparison import ACCEPTABLE, Comparison, compare
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.files import write_atomically
from nanocheck.core.result import RunResult
from nanocheck.core.verdict import DEFAULT_MARGIN_BYTES


@dataclass(frozen=True, kw_only=True)
class Update:
    """What an update of the baselines did, counted."""

    paths: tuple[Path, ...] = ()
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0


@dataclass
class Baselines:
    """All baselines under one folder, read when first asked for.

    Attributes:
        folder: the ``baselines/`` folder.
        options: further options of the command that fixes it, such as `` --reserve 2GiB``.
        margin_bytes: what must stay free for a verdict of safe.
    """

    folder: Path
    options: str = ""
    margin_bytes: int = DEFAULT_MARGIN_BYTES
    _loaded: dict[Path, Baseline] = field(default_factory=dict)

    def for_result(self, result: RunResult) -> Baseline | None:
        """The baseline of the result's environment; else one of another environment; else ``None``.

        Raises:
            StoredDataError: the file is damaged.
        """
        path = baseline_path(self.folder, result)
        if path.exists():
            return self._load(path, result)
        others = [self._load(each, result) for each in sorted(path.parent.glob("*.json"))]
        alike = [each for each in others if _similarity(each, result)]
        return max(
            alike, key=lambda each: (_similarity(each, result), -_releases_apart(each, result)), default=None
        )

    def compare(self, result: RunResult, *, hint: str = "") -> Comparison:
        """See ``compare``."""
        return compare(
            result, self.for_result(result), hint=hint or self.hint(result), margin_bytes=self.margin_bytes
        )

    def hint(self, result: RunResult) -> str:
        """The command that accepts what the result says."""
        return update_command(result.device.gpu, self.options)

    def unused(self, results: Iterable[RunResult], known: Collection[str]) -> list[str]:
        """Ids with a baseline in the results' environments that are no longer in the matrix (``known``)."""
        found: set[str] = set()
        for result in results:
            path = baseline_path(self.folder, result)
            if path in self._loaded or path.exists():
                found |= set(self._load(path, result).configurations) - set(known)
        return sorted(found)

    def update(self, results: Iterable[RunResult], *, keep_only: Collection[str] | None = None) -> Update:
        """Accepts these results as what is expected from now on.

        Args:
            keep_only: with it, baselines of other ids are removed and a damaged file is made anew: for a
                run of the whole matrix. Without it, other ids stay as they are.

        Raises:
            RequestError: under CI, or a result is no answer (crashed, timeout).
            StoredDataError: the existing file is damaged and this is not a run of the whole matrix.
        """
        refuse_update_in_ci()
        per_file: dict[Path, list[RunResult]] = {}
        for result in results:
            if result.outcome not in ACCEPTABLE:
                raise RequestError(
                    f"{result.id}: expected an answer to store as its baseline, found {result.outcome}",
                    hint="fix the crash first; nothing was written",
                )
            per_file.setdefault(baseline_path(self.folder, result), []).append(result)
        created = changed = unchanged = removed = 0
        texts: dict[Path, str] = {}
        for path, group in per_file.items():
            before = self._before(path, group[0], whole=keep_only is not None)
            after = {result.id: Expected.of(result) for result in group}
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

    def _before(self, path: Path, result: RunResult, *, whole: bool) -> Mapping[str, Expected]:
        if not path.exists():
            return {}
        try:
            baseline = self._load(path, result)
        except StoredDataError:
            if whole:
                return {}
            raise
        # What was made in another environment (a changed card profile, say) must not be mixed in.
        return {} if baseline.stale_for(result) else baseline.configurations

    def _load(self, path: Path, result: RunResult) -> Baseline:
        if path not in self._loaded:
            self._loaded[path] = load(path, hint=self.hint(result))
        return self._loaded[path]


def _releases_apart(baseline: Baseline, result: RunResult) -> int:
    """How many minor releases of torch lie between them."""
    ours, theirs = (
        release_of(each) for each in (result.environment.torch, baseline.environment.get("torch"))
    )
    return abs(ours - theirs)


def _similarity(baseline: Baseline, result: RunResult) -> int:
    """How near a baseline's environment is to a result's; 0 for another platform, reserve or cap."""
    if any(
        baseline.card.get(name) != getattr(result.device, name)
        for name in ("gpu", "platform", "reserve_bytes", "capped_from")
    ):
        return 0
    same_torch = baseline.environment.get("torch") == result.environment.torch
    return 1 + 2 * (baseline.provenance == result.provenance) + same_torch
