"""Under which name a configuration's result stands in a journal, whoever measured it, and back again."""

from __future__ import annotations

import hashlib

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.files import to_typed
from nanocheck.core.result import RunResult
from nanocheck.process.journal import Journal

#: Behind the name of a run whose step is recorded.
RECORDED = " (recorded)"


def result_key(config: StepConfig, device: Device, steps: int | None, *, recorded: bool = False) -> str:
    """The configuration's id, and the identity of device and steps. A journal's fingerprint has versions."""
    identity = msgspec.json.encode([device, steps])
    return f"{config.id}@{hashlib.sha256(identity).hexdigest()[:16]}{RECORDED if recorded else ''}"


def stored_result(journal: Journal, key: str) -> RunResult:
    """
    Raises:
        StoredDataError: what the journal holds is no result.
    """
    hint = f"rm {journal.path}   # its results are then computed again"
    return to_typed(journal.get(key), RunResult, what="a result", where=str(journal.path), hint=hint)
