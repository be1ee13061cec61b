"""What one process's memory did: the largest part of a ``RunResult``, and the types it is made of."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from nanocheck.core.coverage import Coverage
from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import KernelList
from nanocheck.core.measured_step import MeasuredStep
from nanocheck.core.stacks import StackHolding


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


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a result: immutable, strict when read."""


class Peak(Value, frozen=True, kw_only=True):
    """Peaks of one phase of one optimizer step, in bytes, as ``torch.cuda.memory_stats`` counts them.

    ``phase`` is one of build, resume, evaluation, forward, backward, optimizer, sample, checkpoint; ``step``
    counts optimizer steps from 0. ``requested_bytes`` is what tensors asked for, before blocks are rounded.
    """

    phase: str
    step: int
    allocated_bytes: int
    reserved_bytes: int
    requested_bytes: int | None = None


class Moment(Value, frozen=True, kw_only=True):
    """When and where something happened: ``where`` is ``file:line``, ``line`` its source text."""

    phase: str
    step: int
    where: str | None = None
    line: str | None = None


class Group(Value, frozen=True, kw_only=True):
    """Bytes of one kind of memory, such as activations, and how many tensors they are."""

    group: str
    bytes: int
    count: int = 0


class Holding(Value, frozen=True, kw_only=True):
    """Allocations of one size, group and place: ``bytes`` of all ``count`` together."""

    bytes: int
    count: int
    group: str
    where: str | None = None
    line: str | None = None
    shape: tuple[int, ...] | None = None
    phase: str | None = None
    step: int = 0


class Variable(Value, frozen=True, kw_only=True):
    """A tensor on the GPU among the script's variables."""

    name: str
    shape: tuple[int, ...]
    dtype: str


class OutOfMemory(Value, frozen=True, kw_only=True):
    """Where and why the allocator gave up.

    Attributes:
        requested_bytes: the tensor's own size where the code says it exactly, else the segment that the
            allocator asked the driver for, rounded up; ``exact`` says which.
        by: ``NCCL`` where it asked for its own buffers, and not PyTorch's allocator; else empty.
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
    by: str = ""
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


class Fragmentation(Value, frozen=True, kw_only=True):
    """Reserved and allocated bytes at the moment at which most was reserved."""

    reserved_bytes: int
    allocated_bytes: int

    @property
    def inactive_bytes(self) -> int:
        """Reserved, and in no tensor."""
        return self.reserved_bytes - self.allocated_bytes


class Band(Value, frozen=True, kw_only=True):
    """Allocator events ``first`` to ``last`` (inclusive) are one phase of one optimizer step."""

    phase: str
    step: int
    first: int
    last: int


class Timeline(Value, frozen=True, kw_only=True):
    """Memory over allocator events.

    Attributes:
        groups: the columns of ``points`` from the third on.
        points: (event, reserved bytes, bytes of each group) after chosen events.
    """

    groups: tuple[str, ...]
    points: tuple[tuple[int, ...], ...]
    bands: tuple[Band, ...]


class Communicators(Value, frozen=True, kw_only=True):
    """NCCL's communicators of one size that a process had at once.

    Attributes:
        ranks: of each. count: how many. messages: how many of them sent or received between two ranks.
    """

    ranks: int
    count: int
    messages: int = 0

    @classmethod
    def of(cls, several: Iterable[tuple[int, int, int]]) -> tuple[Communicators, ...]:
        """As the virtual GPU counts them: ranks, count and messages of each size."""
        return tuple(cls(ranks=ranks, count=count, messages=messages) for ranks, count, messages in several)


class OnOtherCard(Value, frozen=True, kw_only=True):
    """What a process did with a card beside its own; fields as in ``ProcessMemory``."""

    card: int
    process_bytes: int
    allocated_bytes: int = 0
    reserved_bytes: int = 0
    communicators: tuple[Communicators, ...] = ()
    nccl_least_bytes: int = 0
    nccl_most_bytes: int = 0
    peaks: tuple[Peak, ...] = ()
    retries: int = 0
    ooms: int = 0
    oom: OutOfMemory | None = None
    at: Moment | None = None
    groups: tuple[Group, ...] = ()
    largest: tuple[Holding, ...] = ()
    fragmentation: Fragmentation | None = None
    timeline: Timeline | None = None

    @classmethod
    def of(cls, memory: ProcessMemory) -> OnOtherCard:
        """Of a process as if it had had this card alone."""
        return cls(**{name: getattr(memory, name) for name in cls.__struct_fields__})


class ProcessMemory(Value, frozen=True, kw_only=True):
    """What one process's memory did; sizes in bytes.

    Attributes:
        rank: of a distributed run. card: which of the machine's it used, from 0; of several, the current one
            in the end: what follows is of this card.
        other_cards: the same of others.
        allocated_bytes, reserved_bytes: PyTorch's ``max_memory_allocated`` and ``max_memory_reserved``.
        process_bytes: with the CUDA context, the least that NCCL takes and what other libraries took, as
            ``nvidia-smi`` would show it.
        communicators: NCCL's, of more than one rank. nccl_least_bytes, nccl_most_bytes: what NCCL itself
            takes for them, by ``core.nccl_memory``: outside PyTorch's allocator.
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
    other_cards: tuple[OnOtherCard, ...] = ()
    command: tuple[str, ...] = ()
    allocated_bytes: int = 0
    reserved_bytes: int = 0
    process_bytes: int = 0
    communicators: tuple[Communicators, ...] = ()
    nccl_least_bytes: int = 0
    nccl_most_bytes: int = 0
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
    def elsewhere(self) -> tuple[ProcessMemory, ...]:
        """The same process on its other cards."""
        own = msgspec.structs.replace(
            self,
            other_cards=(),
            stacks=(),
            cublas_workspace_bytes=None,
            host_time=None,
            kernels=None,
            measured_step=None,
            unexplained_events=0,
        )
        return tuple(
            msgspec.structs.replace(own, **{name: getattr(each, name) for name in each.__struct_fields__})
            for each in self.other_cards
        )

    @property
    def on_each_card(self) -> tuple[ProcessMemory, ...]:
        """This one and the same process on its other cards, in the order of their numbers."""
        return tuple(sorted((self, *self.elsewhere), key=lambda each: each.card))

    @property
    def nccl_spread_bytes(self) -> int:
        """What NCCL may take beside what ``process_bytes`` counts for it."""
        return self.nccl_most_bytes - self.nccl_least_bytes

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
