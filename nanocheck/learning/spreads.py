"""The file of measured spreads: how far each number format is from fp64, by family of runs. No torch.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocheck.comparison import refuse_update_in_ci
from nanocheck.errors import StoredDataError
from nanocheck.learning.tiers import SEEDS, K, Spread
from nanocheck.stored import read_json, write_atomically

SCHEMA = 1
UPDATE = "pytest suites/loss suites/reproducibility --update-baselines"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A spread and where it was measured."""

    spread: Spread
    environment: Mapping[str, str]


def load_spreads(path: Path) -> dict[str, Measured]:
    """Family -> its spread; nothing where there is no file.

    Raises:
        StoredDataError: damaged, or of another schema.
    """
    if not path.exists():
        return {}
    data, _ = read_json(path, mend=UPDATE)
    try:
        if data["schema"] != SCHEMA:
            raise StoredDataError(
                f"{path}: expected spreads of schema {SCHEMA}, found {data['schema']!r}", mend=UPDATE
            )
        return {
            name: Measured(spread=Spread.from_dict(each["spread"]), environment=dict(each["environment"]))
            for name, each in data["families"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoredDataError(f"{path}: malformed spreads: {error!r}", mend=UPDATE) from error


def save_spreads(path: Path, spreads: Mapping[str, Measured]) -> None:
    """Write the file, one family a line, in one piece.

    Raises:
        RequestError: this is CI, which judges and never writes.
    """
    refuse_update_in_ci()
    head: dict[str, Any] = {
        "schema": SCHEMA,
        "provenance": "measured, real arithmetic: largest distance from fp64 over the seeds and all steps",
        "seeds": list(SEEDS),
        "k": K,
    }
    lines = [f" {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    families = ",\n".join(
        f"  {json.dumps(name)}: "
        + json.dumps({"spread": each.spread.to_dict(), "environment": dict(each.environment)})
        for name, each in sorted(spreads.items())
    )
    write_atomically(path, "\n".join(["{", *lines, ' "families": {', families, " }", "}", ""]))
