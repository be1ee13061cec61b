"""Predictions: what the virtual card did, written and hashed before the real one is asked.

Whoever passes the hash on before cannot change a prediction afterwards.

Schema history (``SCHEMA``):
1. the first.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.core.files import check_schema, read_json, to_typed, write_atomically
from nanocheck.core.result import Environment
from nanocheck.verify.cases import Case
from nanocheck.verify.observed import Observed
from nanocheck.verify.record import CardFacts
from nanocheck.verify.step_time import Modelled

SCHEMA = 1
FILE = "predictions.json"
_HINT = "predict again into another folder: nanocheck verify --pre-register --out FOLDER"


class Prediction(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The virtual side of a case; ``case_sha256`` is that of what ran. ``not_run``: why there is none.

    ``modelled``: how long a step takes, of cases whose steps are timed; absent where nothing was recorded, so
    that the hash of older files stays what it was.
    """

    id: str
    case_sha256: str
    virtual: Observed | None = None
    not_run: str = ""
    modelled: Modelled | msgspec.UnsetType = msgspec.UNSET


class Predictions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of them, with the card and the software that they are of; see ``VerifyFile``."""

    schema: int = SCHEMA
    date: str
    gpu: str
    virtual_card: CardFacts
    context_least_bytes: int
    context_most_bytes: int
    environment: Environment
    predictions: tuple[Prediction, ...] = ()

    @property
    def sha256(self) -> str:
        """Of their canonical JSON: keys in order, no spaces."""
        return digest(msgspec.to_builtins(self))

    def find(self, case: Case) -> Prediction:
        """
        Raises:
            RequestError: there is none of this case, or it is of another state of it.
        """
        found = next((each for each in self.predictions if each.id == case.id), None)
        if found is None:
            raise RequestError(
                f"{case.id}: expected a prediction in {FILE}, found none",
                hint="leave the case out with --only, or predict again into another folder",
            )
        if found.case_sha256 != case.identity:
            raise RequestError(
                f"{case.id}: expected the case that was predicted, found that its settings or script are "
                "others now",
                hint=_HINT,
            )
        return found

    def check_software(self, found: Environment) -> None:
        """
        Raises:
            RequestError: they were made with another PyTorch.
        """
        theirs = self.environment
        if (theirs.torch, theirs.cuda) != (found.torch, found.cuda):
            raise RequestError(
                f"expected the torch of the predictions, {theirs.torch} with CUDA {theirs.cuda}, found "
                f"{found.torch} with CUDA {found.cuda}",
                hint=f"install that one, or {_HINT}",
            )


def digest(plain: Any) -> str:
    """SHA-256 of canonical JSON, in hexadecimal."""
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def save(folder: Path, predictions: Predictions) -> str:
    """Their hash, which stands in the file, too.

    Raises:
        MachineError: it cannot be written.
    """
    plain = msgspec.to_builtins(predictions)
    whole = {"sha256": digest(plain), "predictions": plain}
    write_atomically(folder / FILE, json.dumps(whole, indent=1) + "\n")
    return predictions.sha256


def load(folder: Path) -> Predictions | None:
    """Those in a folder; None where there are none.

    Raises:
        StoredDataError: the file is damaged, or was changed after it was hashed.
    """
    path = folder / FILE
    if not path.exists():
        return None
    data, _ = read_json(path, hint=_HINT)
    if not isinstance(data, dict) or set(data) != {"sha256", "predictions"}:
        raise StoredDataError(f"{path}: expected sha256 and predictions, found something else", hint=_HINT)
    found = digest(data["predictions"])
    if data["sha256"] != found:
        raise StoredDataError(
            f"{path}: expected what was hashed, {data['sha256']}, found {found}: the file was changed",
            hint=_HINT,
        )
    check_schema(data["predictions"], what="predictions", schema=SCHEMA, where=str(path), hint=_HINT)
    return to_typed(data["predictions"], Predictions, what="predictions", where=str(path), hint=_HINT)
