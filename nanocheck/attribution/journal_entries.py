"""What an observed process writes into its journal beside events and marks, as ``observe`` writes it.

Read leniently: a process can die at any moment, and an entry that is cut short or odd is left out.
"""

from __future__ import annotations

import msgspec

from nanocheck.core.coverage import Coverage
from nanocheck.core.host_time import HostTime
from nanocheck.core.measured_step import StepReadings

#: File, line and function.
Frame = tuple[str, int, str]


class AllocatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of PyTorch's ``allocator_settings`` what decides sizes of blocks.

    Attributes:
        roundup_power2_divisions: by the highest power of two, in MiB, that a size reaches.
        max_split_size: bytes from which on a block is not split; -1: all are.
    """

    roundup_power2_divisions: dict[str, int] | None = None
    max_split_size: int = -1


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """When CUDA was initialised.

    Attributes:
        virtual: the identity of the virtual GPU, where it is one. device: as PyTorch names the card.
        libraries: prefixes of files that are not the script's: packages, the standard library, torch.
        settings: the allocator's own. arches: that this build of PyTorch has kernels for.
        clock: seconds of the machine's monotonic clock.
        rank: of a distributed run, as its launcher said it, of ``world`` that there are.
        card: which of the machine's it had then.
    """

    pid: int
    rank: int | None = None
    world: int = 1
    card: int = 0
    clock: float | None = None
    command: tuple[str, ...] = ()
    folder: str | None = None
    virtual: str | None = None
    torch: str | None = None
    cuda: str | None = None
    python: str | None = None
    device: str | None = None
    arches: tuple[str, ...] = ()
    allocator: str | None = None
    libraries: tuple[str, str, str] = ("", "", "")
    settings: AllocatorSettings = AllocatorSettings()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the allocator could not meet.

    Attributes:
        requested: bytes of the segment. free: bytes on the card.
        where: the script's line. tensors: (name, shape, dtype) of its variables there.
        limit: what the script lets PyTorch reserve at the most, in bytes.
        by: the library that asked, where it was not the allocator. card: whose, where there are several.
    """

    requested: int
    card: int | None = None
    by: str = ""
    free: int | None = None
    limit: int | None = None
    where: Frame | None = None
    tensors: tuple[tuple[str, tuple[int, ...], str], ...] = ()


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """An error that ended the script; ``oom``: PyTorch's OutOfMemoryError; ``after_oom``: it came of one."""

    error: str
    oom: bool = False
    after_oom: bool = False


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The observer itself failed and went silent."""

    error: str


class VirtualFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What only the virtual GPU knows.

    Attributes:
        attention: the backend that ran. peak_used: bytes of the card, with the context;
            cards: of each that was used, by its number, where the machine has several.
        placeholders: values the script read that no kernel computed; ``first_placeholder``: where.
        placeholder_sizes: sizes that PyTorch read back and that were one, by no policy: a lower bound.
        sizes: the policy for sizes that hang on values nobody computes (worst, balanced, least).
        unknown_sizes: how many it decided; ``first_unknown_size``: where.
        unbounded_sizes: how many no policy can bound, which were one.
        guessed: of each library whose sizes only NVIDIA knows, how often it was asked, and the most bytes.
        communicators: of each card, NCCL's that were used: ranks, how many at once, how many for messages.
        nccl: the variables by which the user sets NCCL.
    """

    attention: str | None = None
    peak_used: int = 0
    cards: dict[str, int] = {}
    placeholders: int = 0
    first_placeholder: str | None = None
    placeholder_sizes: int = 0
    guessed: dict[str, tuple[int, int]] = {}
    communicators: dict[str, tuple[tuple[int, int, int], ...]] = {}
    nccl: dict[str, str] = {}
    sizes: str | None = None
    unknown_sizes: int = 0
    first_unknown_size: str | None = None
    unbounded_sizes: int = 0

    @property
    def sizes_of_one(self) -> int:
        """How many sizes were taken to be 1 because nothing bounds them."""
        return self.placeholder_sizes + self.unbounded_sizes


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The last words of a process: how it ended, and what only then can be asked.

    ``code`` is its exit code, where it left by one (``os._exit``, ``multiprocessing``).
    ``clock`` and ``limit`` as in ``Start`` and ``Request``, ``rank`` and ``world`` as in ``Start``: a script
    can say them after CUDA has begun.
    """

    how: str
    code: int | None = None
    rank: int | None = None
    world: int = 1
    card: int = 0
    clock: float | None = None
    limit: int | None = None
    blocks: tuple[tuple[int, int, int, str], ...] = ()  # address, size, requested, state
    settings: AllocatorSettings = AllocatorSettings()
    workspaces: tuple[int, ...] = ()
    virtual: VirtualFacts = VirtualFacts()


class Workspaces(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses of cuBLAS's workspaces, of a process that went on after ``End`` was written."""

    addresses: tuple[int, ...] = ()


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """From a head, or several that read the same, to a loss.

    Attributes:
        made: bytes of what each operator made, and of what it read; the newest first, the head last, without
            views.
        read: bytes of what the head read. older: of what led to that. Both are empty without a head.
    """

    made: tuple[tuple[int, tuple[int, ...]], ...] = ()
    read: tuple[int, ...] = ()
    older: tuple[int, ...] = ()


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What led to a loss, when its backward began or memory ran out in it.

    Attributes:
        allocations: how many there had been.
        ways: the newest first.
        addresses: of what the loss was given, where that was seen.
        code: file, first and last line of losses that are functions of the script's or its libraries'.
    """

    allocations: int
    ways: tuple[Way, ...] = ()
    addresses: tuple[int, ...] = ()
    code: tuple[tuple[str, int, int], ...] = ()


class LossBackward(msgspec.Struct, frozen=True, kw_only=True):
    """The backward entered the loss's part of the graph, or left it, after so many allocations."""

    allocations: int
    inside: bool


#: Entries by their ``kind``; of each the last one holds.
ENTRIES: dict[str, type[msgspec.Struct]] = {
    "start": Start,
    "failed": Failed,
    "broken": Broken,
    "coverage": Coverage,
    "end": End,
    "host_time": HostTime,
    "workspaces": Workspaces,
    "card_steps": StepReadings,
}
