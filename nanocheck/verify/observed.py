"""One side of a case: what a run did on one card, reduced to what two cards can be compared by."""

from __future__ import annotations

from pathlib import Path, PurePath

import msgspec

from nanocheck.core.anonymous import anonymous
from nanocheck.core.result import Outcome, OutOfMemory, Provenance, RunResult


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Immutable, strict when read."""


class PhasePeak(Value, frozen=True, kw_only=True):
    """The largest peaks of a phase in any step, in bytes."""

    phase: str
    allocated_bytes: int
    reserved_bytes: int


class Memory(Value, frozen=True, kw_only=True):
    """What CUDA and PyTorch said in the process when it ended, in bytes.

    Attributes:
        used_bytes: of the whole card, whoever held it. usable_bytes: the card's total.
        reserved_now_bytes: PyTorch's then; the peaks are ``allocated_bytes`` and ``reserved_bytes``, as the
            process itself reads them.
    """

    allocated_bytes: int
    reserved_bytes: int
    reserved_now_bytes: int
    used_bytes: int
    usable_bytes: int


class Observed(Value, frozen=True, kw_only=True):
    """What one side of a case did; sizes in bytes.

    Attributes:
        provenance: measured or virtual, as the process that ran found out.
        phases: in the order in which they began.
        allocated_bytes, reserved_bytes: peaks as nanocheck found them. own_allocated_bytes,
            own_reserved_bytes: a script's own reading of ``torch.cuda``, at its end.
        process_bytes: what the card had given away when the process ended, less what others held before.
        context_bytes: the part of it that PyTorch had not reserved: CUDA's context, kernels, handles.
        usable_bytes: the card's total, as the process read it.
        attention: the backend that ran; ``unknown`` where nobody could see it.
        retries: of the allocator. out_of_memory: where and what, without what was free.
        seconds: wall time with the start of the process. Never compared.
        detail: why there is no answer; without paths and names.
    """

    provenance: Provenance
    outcome: Outcome
    phases: tuple[PhasePeak, ...] = ()
    allocated_bytes: int = 0
    reserved_bytes: int = 0
    own_allocated_bytes: int | None = None
    own_reserved_bytes: int | None = None
    process_bytes: int | None = None
    context_bytes: int | None = None
    usable_bytes: int | None = None
    attention: str = "unknown"
    retries: int = 0
    out_of_memory: str = ""
    seconds: float = 0.0
    detail: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether it says anything about memory."""
        return self.outcome.is_answer

    @classmethod
    def of(cls, result: RunResult, memory: Memory | None, *, others_bytes: int, seconds: float) -> Observed:
        """
        Args:
            memory: None where the process could not say it: it was stopped, or died.
            others_bytes: what others held of the card before.
        """
        main = result.main
        held = None if memory is None else memory.used_bytes - others_bytes
        return cls(
            provenance=result.provenance,
            outcome=result.outcome,
            phases=tuple(
                PhasePeak(phase=phase, allocated_bytes=allocated, reserved_bytes=reserved)
                for phase, (allocated, reserved) in main.phase_peaks().items()
            ),
            allocated_bytes=main.allocated_bytes,
            reserved_bytes=main.reserved_bytes,
            own_allocated_bytes=None if memory is None or result.command is None else memory.allocated_bytes,
            own_reserved_bytes=None if memory is None or result.command is None else memory.reserved_bytes,
            process_bytes=held,
            context_bytes=None if held is None or memory is None else held - memory.reserved_now_bytes,
            usable_bytes=None if memory is None else memory.usable_bytes,
            attention=main.attention,
            retries=main.retries,
            out_of_memory="" if result.oom is None else _line(result.oom),
            seconds=round(seconds, 1),
            detail="" if result.outcome.is_answer else anonymous(result.detail),
        )


def _line(oom: OutOfMemory) -> str:
    """Phase, step, place, line and bytes, which two cards of one kind have in common."""
    place = ""
    if oom.where:
        file, _, number = oom.where.rpartition(":")
        place = f" at {PurePath(file or oom.where).name}{':' + number if file else ''}"
    line = f" `{anonymous(oom.line)}`" if oom.line else ""
    caught = f", {oom.count} caught" if oom.caught else ""
    return f"{oom.phase} of step {oom.step}{place}{line}: {oom.requested_bytes} bytes{caught}"


def read_memory(path: Path) -> Memory | None:
    """What a script wrote at its end; None where it did not come to it."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except (OSError, msgspec.MsgspecError):
        return None
