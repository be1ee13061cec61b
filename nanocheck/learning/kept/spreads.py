"""The file of measured spreads: how far each number format is from fp64, by family of runs. No torch.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocheck.learning.kept.store import load_named, save_named
from nanocheck.learning.tiers import K, Spread

SCHEMA = 1
UPDATE = "pytest suites/loss suites/reproducibility --update-baselines"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A spread and where it was measured."""

    spread: Spread
    environment: Mapping[str, str]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measured:
        """
        Raises:
            KeyError, TypeError, ValueError: the data are no spread.
        """
        return cls(spread=Spread.from_dict(data["spread"]), environment=dict(data["environment"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"spread": self.spread.to_dict(), "environment": dict(self.environment)}


def load_spreads(path: Path) -> dict[str, Measured]:
    """Family -> its spread; nothing where there is no file.

    Raises:
        StoredDataError: damaged, or of another schema.
    """
    return load_named(
        path, schema=SCHEMA, words="spreads", key="families", mend=UPDATE, read=Measured.from_dict
    )


def save_spreads(path: Path, spreads: Mapping[str, Measured]) -> None:
    """Write the file, one family a line, in one piece.

    Raises:
        RequestError: this is CI, which judges and never writes.
    """
    save_named(
        path,
        {name: each.to_dict() for name, each in spreads.items()},
        schema=SCHEMA,
        provenance="measured, real arithmetic: largest distance from fp64 over the seeds and all steps",
        k=K,
        key="families",
    )
