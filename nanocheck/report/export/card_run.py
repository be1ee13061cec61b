"""One run on one card, as every format of another program says it; sizes in bytes.

A number is there only where the run says it: peaks of a run that came to its end (what was reached before an
out-of-memory is no peak), and a range only where both of its ends are known.
"""

from __future__ import annotations

import msgspec

from nanocheck.core.anonymous import portable
from nanocheck.core.comparison import Comparison
from nanocheck.core.result import Environment, RunResult
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.units import gib
from nanocheck.core.verdict import Verdict


class Span(msgspec.Struct, frozen=True):
    """At least and at most; ``most`` is ``None`` where only the least is known."""

    least: int
    most: int | None = None


class StepSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """Of an optimizer step. ``low`` to ``high`` holds ``level`` of the readings, or should of real steps."""

    seconds: float
    low: float | None = None
    high: float | None = None
    level: float | None = None
    provenance: str


class CardRun(msgspec.Struct, frozen=True, kw_only=True):
    """
    Attributes:
        name: the configuration, test or command. gpu: id of the card; card: its name.
        provenance: where the bytes come from: measured, virtual, or unknown.
        allocated_bytes, reserved_bytes: PyTorch's peaks; ``None`` unless the run came to its end.
        process: the most that all its processes had of the card. Of a virtual card, whose CUDA context is
            the least that was seen, its ``most`` is with the largest context that was.
        headroom: what stays free; least with the largest context, and the least that a driver leaves.
        command: as it was given, with this machine's paths; empty for a configuration and for a test.
        configuration: it is one of a matrix.
        result: everything else that is known of it, where it is.
        growth: of a comparison, whose newer side this is.
    """

    name: str
    gpu: str
    card: str
    platform: str
    reserve_bytes: int
    provenance: str
    verdict: Verdict
    allocated_bytes: int | None
    reserved_bytes: int | None
    process: Span | None
    headroom: Span | None
    step: StepSeconds | None = None
    environment: Environment = Environment()
    comparison: Comparison | None = None
    command: tuple[str, ...] = ()
    configuration: bool = False
    result: RunResult | None = None
    growth: RunDiff | None = None

    @property
    def place(self) -> str:
        """The card, and whatever else of the machine was asked for: ``rtx4070``, ``rtx4070-windows``."""
        parts = [self.gpu or "unknown"]
        if self.platform != "linux":
            parts.append(self.platform)
        if self.reserve_bytes:
            parts.append(f"{gib(self.reserve_bytes).replace(' ', '')}-reserved")
        return "-".join(parts)

    @property
    def title(self) -> str:
        """Unique among runs that differ in anything that can move a number."""
        return f"{self.name} on {self.place} ({self.provenance})"

    @property
    def versions(self) -> list[tuple[str, str]]:
        """What was installed where it ran, as far as is known."""
        known = (("torch", self.environment.torch), ("nanocheck", self.environment.nanocheck))
        return [(name, portable(value)) for name, value in known if value]
