"""The file of measured rounding errors: how far each number format is from fp64, by family of runs. No torch.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nanocheck.numerics.figure_store import Store
from nanocheck.numerics.tiers import TOLERANCE_FACTOR, Distance

SCHEMA = 1
UPDATE = "pytest suites/loss suites/reproducibility --update-baselines"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A rounding error and where it was measured."""

    rounding_error: Distance
    environment: Mapping[str, str]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Measured:
        """
        Raises:
            KeyError, TypeError, ValueError: the data are no rounding error.
        """
        return cls(rounding_error=Distance.from_dict(data["spread"]), environment=dict(data["environment"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"spread": self.rounding_error.to_dict(), "environment": dict(self.environment)}


#: By family.
_STORE = Store(
    schema=SCHEMA,
    words="rounding errors",
    key="families",
    hint=UPDATE,
    provenance="measured, real arithmetic: largest distance from fp64 over the seeds and all steps",
    k=TOLERANCE_FACTOR,
    read=Measured.from_dict,
    write=Measured.to_dict,
)
load_rounding_errors, save_rounding_errors = _STORE.load, _STORE.save
