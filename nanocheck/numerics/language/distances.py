"""The file of measured distances to the language's entropy floor, by run. No torch.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from nanocheck.core.errors import StoredDataError
from nanocheck.numerics.figure_store import Store
from nanocheck.numerics.language.approach import Approach
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import Trace, finite

SCHEMA = 1
UPDATE = "pytest suites/loss/test_language.py --update-baselines"
#: Times the standard deviation over the seeds. One more draw is further from the mean of 16 in one case of
#: 5,000 (Student's t of 15 degrees of freedom at 5 / sqrt(1 + 1/16)); and a run's own draw is always the
#: same one, but for how another machine rounds.
SEED_SPREAD_FACTOR = 5.0


@dataclass(frozen=True, kw_only=True)
class Distances:
    """Nats above the floor that one run ended at, over seeds.

    Attributes:
        steps: optimizer steps.
        distances: one of each seed.
        environment: where they were measured; the text's hash must agree, the rest is for people.
    """

    steps: int
    distances: tuple[float, ...]
    environment: Mapping[str, str]

    @classmethod
    def measured(cls, plans: Sequence[Plan], traces: Sequence[Trace]) -> Distances:
        """From the runs of the seeds.

        Raises:
            StoredDataError: a figure is not finite.
        """
        found = [Approach.of(plan, trace).distance for plan, trace in zip(plans, traces, strict=True)]
        if not all(map(math.isfinite, found)):
            raise StoredDataError(f"refused to store what is not finite: {found}", hint="fix the step")
        return cls(steps=plans[0].steps, distances=tuple(found), environment=dict(traces[0].environment))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Distances:
        """
        Raises:
            KeyError, TypeError, ValueError: the data are no distances.
        """
        found = tuple(map(finite, data["distances"]))
        if len(found) < 2:
            raise ValueError(f"expected distances of several seeds, found {found}")
        return cls(steps=int(data["steps"]), distances=found, environment=dict(data["environment"]))

    @property
    def room(self) -> float:
        """Nats around the mean of the seeds."""
        return SEED_SPREAD_FACTOR * stdev(self.distances)

    def problem(self, approach: Approach, text_sha256: str) -> str | None:
        """What is wrong with how near a run came: further from the floor than the seeds, or nearer."""
        if approach.steps != self.steps or text_sha256 != self.environment["text_sha256"]:
            return "the stored distances are of another number of steps, or of another text"
        expected = fmean(self.distances)
        if abs(approach.distance - expected) <= self.room:
            return None
        return (
            f"distance from the floor after {self.steps} steps: expected {expected:.4f} nats within "
            f"{self.room:.4f} ({SEED_SPREAD_FACTOR:g} times the spread of {len(self.distances)} seeds), "
            f"found {approach.distance:.4f}"
        )


#: By configuration id.
_STORE = Store(
    schema=SCHEMA,
    words="distances",
    key="runs",
    hint=UPDATE,
    provenance="measured, real arithmetic: held-out loss less that of the source itself, nats a token",
    k=SEED_SPREAD_FACTOR,
    read=Distances.from_dict,
    write=asdict,
)
load_distances, save_distances = _STORE.load, _STORE.save
