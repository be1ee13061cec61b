"""Journals of several runs made one: a result is known by what it is of, so twice the same is once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.fingerprint import fingerprint
from nanocheck.core.result import RunResult
from nanocheck.fleet.identity import differs
from nanocheck.measuring.stored_results import stored_result
from nanocheck.process.journal import Journal, fingerprint_of


@dataclass(frozen=True, kw_only=True)
class Merged:
    """How many results a merge added, and how many were there already."""

    added: int
    known: int


def merge(sources: Sequence[Path], into: Path) -> Merged:
    """Add what the sources hold; a second time nothing is added, and no byte changes.

    Raises:
        RequestError: a file that is not there, or of versions or settings other than this machine's, whose
            results are not comparable.
        StoredDataError: a journal is damaged, or two say something else of the same configuration, device and
            versions. What was added until then stays.
        MachineError: a journal is in use, or cannot be written.
    """
    ours = fingerprint()
    for path in sources:
        other = differs(fingerprint_of(path), ours)
        if other:
            raise RequestError(
                f"{path}: expected a journal of this environment, found {other}",
                hint="merge where nanocheck, torch and Python are those that measured",
            )
    # A journal of another fingerprint would be set aside when it is opened; that is not what was asked for.
    if into.exists() and fingerprint_of(into) != ours:
        raise RequestError(
            f"{into}: expected a new file or a journal of this environment, found another's",
            hint="name another file",
        )
    added = known = 0
    with Journal(into, ours) as target:
        for path in sources:
            if path.exists() and path.samefile(into):
                known += len(target)
                continue
            with Journal(path, fingerprint_of(path)) as source:
                for key in source:
                    found = stored_result(source, key)
                    if key not in target:
                        target.append(key, msgspec.to_builtins(found))
                        added += 1
                        continue
                    known += 1
                    if timeless(stored_result(target, key)) != timeless(found):
                        raise StoredDataError(
                            f"{key}: {path} and {into} say something else of the same configuration on the "
                            "same device, with the same versions",
                            hint="nanocheck's answers do not vary: one of them was altered, or this is a bug",
                        )
    return Merged(added=added, known=known)


def timeless(result: RunResult) -> RunResult:
    """Without what a clock said, which is another each time."""
    processes = tuple(msgspec.structs.replace(each, host_time=None) for each in result.processes)
    return msgspec.structs.replace(result, seconds={}, processes=processes)
