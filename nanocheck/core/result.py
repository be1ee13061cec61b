"""What happened: a process trained something on a device, and this is what its memory did.

``RunResult`` is the one type that says it, for a configuration of the reference step and for a command alike.
Everything after it reads only that. Its JSON Schema is ``docs/run-result.schema.json``.

Schema history (``SCHEMA``):
1. a record of a configuration, and a mapping for a command.
2. one type for both; provenance may be unknown.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from enum import StrEnum

import msgspec

from nanocheck.core.card_share import CardShare, fullest_card
from nanocheck.core.config import StepConfig
from nanocheck.core.coverage import Coverage
from nanocheck.core.device import Device
from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import KernelList
from nanocheck.core.measured_step import MeasuredStep
from nanocheck.core.stacks import StackHolding

SCHEMA = 2


class Provenance(StrEnum):
    """Where a number comes from: found out by the process that ran, never by what was asked for."""

    MEASURED = "measured"  # a real GPU ran it
    VIRTUAL = "virtual"  # the virtual GPU ran it
    COMPUTED = "computed"  # arithmetic only
    MODELLED = "modelled"  # a model of time, fitted to published measurements, for a card that is not there
    UNKNOWN = "unknown"  # nothing ran, or nobody could see on what


class Outcome(StrEnum):
    """How a run ended. Only the first two say what the memory did to the end."""

    COMPLETED = "completed"
    OOM = "oom"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    INTERRUPTED = "interrupted"
    NO_GPU = "no-gpu"
    INCOMPLETE = "incomplete"  # not every process that used the card was seen to its end

    @property
    def is_answer(self) -> bool:
        """Whether it says what the memory did to the end."""
        return self in (Outcome.COMPLETED, Outcome.OOM)


class How(StrEnum):
    """How a command ended."""

    FINISHED = "finished"
    ANSWERED = "answered"  # it was stopped: its peak had been stable for enough steps
    FAILED = "failed"
    KILLED = "killed"  # by a signal that is not ours
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"


class Recovery(StrEnum):
    """What a script did about an out-of-memory that it caught."""

    SEARCHED = "searched"  # it looked for a size that fits, and went on with one
    SKIPPED = "skipped"  # the work that did not fit was lost


class ObservationEnd(StrEnum):
    """How the observation of a process ended."""

    WHOLE = "whole"  # it said its last words: it came to its end, or was stopped because its peak was known
    FAILED = "failed"  # an error ended it
    LOST = "lost"  # it died, was ended or could not write before it said its last words
    BROKEN = "broken"  # the observer failed


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a result: immutable, strict when read."""


class Environment(_Value, frozen=True, kw_only=True):
    """Whatever can change a number without changing the configuration or the device; ``None``: not known.

    ``virtual_gpu`` is the identity of the virtual GPU's sources where it ran, ``cudnn`` cuDNN's own number.
    """

    nanocheck: str | None = None
    torch: str | None = None
    cuda: str | None = None
    cudnn: int | None = None
    python: str | None = None
    os: str | None = None
    machine: str | None = None
    byteorder: str | None = None
    virtual_gpu: str | None = None

    @property
    def known(self) -> dict[str, str | int]:
        """What is known, by name, sorted."""
        found = msgspec.structs.asdict(self)
        return {name: found[name] for name in sorted(found) if found[name] not in (None, "")}


class Peak(_Value, frozen=True, kw_only=True):
    """Peaks of one phase of one optimizer step, in bytes, as ``torch.cuda.memory_stats`` counts them.

    ``phase`` is one of build, resume, evaluation, forward, backward, optimizer, sample, checkpoint; ``step``
    counts optimizer steps from 0. ``requested_bytes`` is what tensors asked for, before blocks are rounded.
    """

    phase: str
    step: int
    allocated_bytes: int
    reserved_bytes: int
    requested_bytes: int | None = None


class Moment(_Value, frozen=True, kw_only=True):
    """When and where something happened: ``where`` is ``file:line``, ``line`` its source text."""

    phase: str
    step: int
    where: str | None = None
    line: str | None = None


class Group(_Value, frozen=True, kw_only=True):
    """Bytes of one kind of memory, such as activations, and how many tensors they are."""

    group: str
    bytes: int
    count: int = 0


class Holding(_Value, frozen=True, kw_only=True):
    """Allocations of one size, group and place: ``bytes`` of all ``count`` together."""

    bytes: int
    count: int
    group: str
    where: str | None = None
    line: str | None = None
    shape: tuple[int, ...] | None = None
    phase: str | None = None
    step: int = 0


class Variable(_Value, frozen=True, kw_only=True):
    """A tensor on the GPU among the script's variables."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class OutOfMemory(_Value, frozen=True, kw_only=True):
    """Where and why the allocator gave up.

    Attributes:
        requested_bytes: the tensor's own size where the code says it exactly, else the segment that the
            allocator asked the driver for, rounded up; ``exact`` says which.
        free_bytes: what was free on the card then. limit_bytes: what the script itself lets PyTorch reserve,
            where it set a limit.
        message: PyTorch's own first line.
        caught: the script caught it and went on; ``recovery`` says how. count: how often it happened.
        tensors: of the script's innermost frame. groups, alive: who held the memory then.
        stacks: the same by the stacks that asked for it, see ``ProcessMemory``, and the request itself in the
            group ``the request that failed``; only where it ended the run.
    """

    phase: str
    step: int
    requested_bytes: int
    exact: bool
    shape: tuple[int, ...] | None = None
    where: str | None = None
    line: str | None = None
    message: str = ""
    free_bytes: int | None = None
    limit_bytes: int | None = None
    caught: bool = False
    recovery: Recovery | None = None
    count: int = 1
    tensors: tuple[Variable, ...] = ()
    groups: tuple[Group, ...] = ()
    alive: tuple[Holding, ...] = ()
    stacks: tuple[StackHolding, ...] = ()


class Fragmentation(_Value, frozen=True, kw_only=True):
    """Reserved and allocated bytes at the moment at which most was reserved."""

    reserved_bytes: int
    allocated_bytes: int

    @property
    def inactive_bytes(self) -> int:
        """Reserved, and in no tensor."""
        return self.reserved_bytes - self.allocated_bytes


class Band(_Value, frozen=True, kw_only=True):
    """Allocator events ``first`` to ``last`` (inclusive) are one phase of one optimizer step."""

    phase: str
    step: int
    first: int
    last: int


class Timeline(_Value, frozen=True, kw_only=True):
    """Memory over allocator events.

    Attributes:
        groups: the columns of ``points`` from the third on.
        points: (event, reserved bytes, bytes of each group) after chosen events.
    """

    groups: tuple[str, ...]
    points: tuple[tuple[int, ...], ...]
    bands: tuple[Band, ...]


class ProcessMemory(_Value, frozen=True, kw_only=True):
    """What one process's memory did; sizes in bytes.

    Attributes:
        rank: of a distributed run. card: which of the machine's it used, from 0.
        allocated_bytes, reserved_bytes: PyTorch's ``max_memory_allocated`` and ``max_memory_reserved``.
        process_bytes: with the CUDA context and what other libraries took, as ``nvidia-smi`` would show it.
        ended: how its observation ended; ``error``: the first line of the error that ended it.
        began_s, ended_s: when it first used the card and when it said its last words, in seconds on one clock
            for all processes of the run; ``None``: not known.
        limit_bytes: what the script lets PyTorch reserve at the most, where it set a limit.
        sizes: the policy by which sizes were decided that hang on values nobody computes (worst, balanced,
            least), where there were any.
        unknown_sizes: how many it decided. unbounded_sizes: how many no policy can bound, which were one.
        steps: optimizer steps that were seen. coverage: how much of the process was, where it was observed.
        peaks: per phase and step, in the order they ran; what was reached before an out-of-memory included.
        retries, ooms: the allocator's ``num_alloc_retries`` and ``num_ooms``.
        attention: flash, efficient, cudnn, math, or ``unknown``.
        cublas_workspace_bytes: the workspace PyTorch asks the allocator for, per handle and stream.
        allocator_settings: the effective ``PYTORCH_ALLOC_CONF``.
        at: when and where most was allocated. groups: who held it then; they sum to ``allocated_bytes``.
        largest: the largest allocations then.
        stacks: all allocations then, by the stack that asked for them, the largest first, and stacks that had
            something at another moment only; what is beyond 200 stands together, by group.
        host_time: how long this host needed for a warm step, where that was asked for.
        kernels: of one step, where that was asked for and a step was recorded.
        measured_step: how long a step took on a real card, where that was asked for.
        unexplained_events: allocator events that no free block explains; 0 unless the history has a hole.
    """

    pid: int | None = None
    rank: int | None = None
    card: int = 0
    command: tuple[str, ...] = ()
    allocated_bytes: int = 0
    reserved_bytes: int = 0
    process_bytes: int = 0
    ended: ObservationEnd = ObservationEnd.WHOLE
    error: str = ""
    began_s: float | None = None
    ended_s: float | None = None
    limit_bytes: int | None = None
    sizes: str | None = None
    unknown_sizes: int = 0
    unbounded_sizes: int = 0
    steps: int = 0
    coverage: Coverage | None = None
    peaks: tuple[Peak, ...] = ()
    retries: int = 0
    ooms: int = 0
    oom: OutOfMemory | None = None
    attention: str = "unknown"
    cublas_workspace_bytes: int | None = None
    allocator_settings: str = ""
    at: Moment | None = None
    groups: tuple[Group, ...] = ()
    largest: tuple[Holding, ...] = ()
    stacks: tuple[StackHolding, ...] = ()
    fragmentation: Fragmentation | None = None
    host_time: HostTime | None = None
    kernels: KernelList | None = None
    measured_step: MeasuredStep | None = None
    unexplained_events: int = 0
    timeline: Timeline | None = None

    @property
    def peak_phase(self) -> str:
        """The phase in which the allocated peak was reached; empty where nothing ran."""
        return max(self.peaks, key=lambda peak: peak.allocated_bytes).phase if self.peaks else ""

    def phase_peaks(self) -> dict[str, tuple[int, int]]:
        """Phase -> largest (allocated, reserved) bytes of any step, in the order in which phases began."""
        found: dict[str, tuple[int, int]] = {}
        for peak in self.peaks:
            allocated, reserved = found.get(peak.phase, (0, 0))
            found[peak.phase] = (max(allocated, peak.allocated_bytes), max(reserved, peak.reserved_bytes))
        return found


class Ending(_Value, frozen=True, kw_only=True):
    """How a command ended; the exit code as a shell says it."""

    how: How
    exit_code: int


class RunResult(_Value, frozen=True, kw_only=True):
    """One run on one device.

    Attributes:
        config: what ran, where it was a configuration of the reference step; else ``command`` says it.
        test: pytest's node id, where it was a test of a project.
        processes: those that used the GPU, the one that reserved most first.
        micro_batches: how many micro-batches a step of a configuration really ran (2 stand for any larger
            accumulation).
        ending: of a command.
        seconds: wall time per stage.
        notes: marks a reader must see.
        detail: why there is no answer about memory, its first line a sentence; empty otherwise.
    """

    schema: int = SCHEMA
    config: StepConfig | None = None
    command: tuple[str, ...] | None = None
    test: str | None = None
    provenance: Provenance
    device: Device
    environment: Environment
    outcome: Outcome
    processes: tuple[ProcessMemory, ...] = ()
    micro_batches: int = 0
    ending: Ending | None = None
    seconds: Mapping[str, float] = {}
    notes: tuple[str, ...] = ()
    detail: str = ""

    @property
    def id(self) -> str:
        """The configuration's name, the test's, or the command as one types it."""
        if self.test is not None:
            return self.test
        return self.config.id if self.config is not None else shlex.join(self.command or ())

    @property
    def main(self) -> ProcessMemory:
        """The process that reserved most; an empty one where none used the GPU."""
        return self.processes[0] if self.processes else ProcessMemory()

    @property
    def card_bytes(self) -> int:
        """The most that the processes of one card may have had of it together, on the card where that is
        most; see ``fullest_card``.
        """
        return self.fullest_card.together_bytes

    @property
    def fullest_card(self) -> CardShare:
        return fullest_card(self.processes or (self.main,), self.device.context_bytes)

    @property
    def oom(self) -> OutOfMemory | None:
        """The out-of-memory that ended it, else the first one that was caught; ``None`` without any."""
        found = [process.oom for process in self.processes if process.oom is not None]
        return min(found, key=lambda oom: oom.caught, default=None)
