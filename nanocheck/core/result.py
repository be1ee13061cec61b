"""What came out: one Record per configuration, plain data that lives as JSON.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError

SCHEMA = 1

#: measured: a real GPU ran it. virtual: the virtual GPU ran it. computed: arithmetic only.
PROVENANCES = ("measured", "virtual", "computed")
#: How a run ended. Only the first two are answers about memory.
OUTCOMES = ("completed", "oom", "crashed", "timeout", "unsupported")


@dataclass(frozen=True, kw_only=True)
class Peak:
    """Peaks of one phase of one optimizer step, in bytes, as ``torch.cuda.memory_stats`` counts them.

    ``phase`` is one of build, resume, evaluation, forward, backward, optimizer, sample,
    checkpoint;
    ``step`` counts optimizer steps from 0.
    """

    phase: str
    step: int
    allocated_bytes: int
    reserved_bytes: int
    requested_bytes: int


@dataclass(frozen=True, kw_only=True)
class OutOfMemory:
    """Where and why the allocator gave up.

    ``requested_bytes`` is the tensor's own size where the message or the call tells it exactly, else
    the allocator's rounded figure; ``exact`` says which. ``line`` is the code of the innermost frame
    that is not PyTorch's own, or of Inductor's generated wrapper.
    """

    phase: str
    step: int
    requested_bytes: int
    exact: bool
    shape: tuple[int, ...] | None
    line: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One configuration, run once on one device.

    Attributes:
        config: what ran.
        provenance: see ``PROVENANCES``; found out by the process that ran it, never by its caller.
        device: gpu (catalog id), name, platform, capability, capacity_bytes, context_bytes,
            reserve_bytes, and ``capped_from`` (name of the real card) where a cap was set.
        environment: torch, cuda, python, os, nanocheck, ... : whatever can change a number.
        outcome: see ``OUTCOMES``.
        peaks: per phase and step, in the order they ran; what was reached before an OOM included.
        retries, ooms: the allocator's ``num_alloc_retries`` and ``num_ooms``.
        micro_batches: how many micro-batches a step really ran (2 stand for any larger accumulation).
        oom: details, when the outcome is ``oom``.
        sdpa_backend: flash, efficient, cudnn, math, or ``unknown``.
        cublas_workspace_bytes: the workspace PyTorch asks the allocator for, per handle and stream.
        allocator_conf: the effective PYTORCH_ALLOC_CONF.
        seconds: wall time per stage.
        notes: marks a reader must see, such as a fallback to another attention backend.
        detail: tail of the output, for outcomes that are no answer.
    """

    config: StepConfig
    provenance: str
    device: Mapping[str, Any]
    environment: Mapping[str, Any]
    outcome: str
    peaks: tuple[Peak, ...] = ()
    retries: int = 0
    ooms: int = 0
    micro_batches: int = 0
    oom: OutOfMemory | None = None
    sdpa_backend: str = "unknown"
    cublas_workspace_bytes: int | None = None
    allocator_conf: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    detail: str = ""
    schema: int = SCHEMA

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def peak_allocated_bytes(self) -> int:
        """Largest ``max_memory_allocated`` of any phase (0 when nothing ran)."""
        return max((peak.allocated_bytes for peak in self.peaks), default=0)

    @property
    def peak_reserved_bytes(self) -> int:
        """Largest ``max_memory_reserved`` of any phase (0 when nothing ran)."""
        return max((peak.reserved_bytes for peak in self.peaks), default=0)

    @property
    def peak_phase(self) -> str:
        """The phase in which the allocated peak was reached."""
        return max(self.peaks, key=lambda peak: peak.allocated_bytes).phase if self.peaks else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, with derived peaks left out."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """The record of plain data, checked field by field.

        Raises:
            StoredDataError: another schema, or a field that is missing, unknown or impossible.
        """
        if not isinstance(data, Mapping) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, Mapping) else type(data).__name__
            raise StoredDataError(
                f"expected a record of schema {SCHEMA}, found {found!r}",
                hint="run the suite again with this version of nanocheck",
            )
        known = {each.name for each in fields(cls)}
        wrong = sorted(set(data) ^ known)
        if wrong:
            raise StoredDataError(f"record with missing or unknown fields: {', '.join(wrong)}")
        if data["outcome"] not in OUTCOMES or data["provenance"] not in PROVENANCES:
            raise StoredDataError(
                f"record with outcome {data['outcome']!r} and provenance {data['provenance']!r}"
            )
        try:
            values = dict(data)
            values["config"] = StepConfig.from_dict(data["config"])
            values["peaks"] = tuple(Peak(**peak) for peak in data["peaks"])
            values["notes"] = tuple(data["notes"])
            if data["oom"] is not None:
                shape = data["oom"]["shape"]
                values["oom"] = OutOfMemory(
                    **{**data["oom"], "shape": None if shape is None else tuple(shape)}
                )
            return cls(**values)
        except (TypeError, KeyError) as error:
            raise StoredDataError(f"malformed record: {error}") from error
