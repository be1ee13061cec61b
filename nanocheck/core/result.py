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
from nanocheck.core.device import CardsAlike, Device, device_of
from nanocheck.core.process_memory import (
    Band,
    Fragmentation,
    Group,
    Holding,
    Moment,
    ObservationEnd,
    OutOfMemory,
    Peak,
    ProcessMemory,
    Recovery,
    Timeline,
    Value,
    Variable,
)

SCHEMA = 2

#: The types of one process are a result's, too: where they are used, they come from here.
__all__ = [
    "SCHEMA",
    "Band",
    "Ending",
    "Environment",
    "Fragmentation",
    "Group",
    "Holding",
    "How",
    "Moment",
    "ObservationEnd",
    "OutOfMemory",
    "Outcome",
    "Peak",
    "ProcessMemory",
    "Provenance",
    "Recovery",
    "RunResult",
    "Timeline",
    "Variable",
]


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


class Environment(Value, frozen=True, kw_only=True):
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


class Ending(Value, frozen=True, kw_only=True):
    """How a command ended; the exit code as a shell says it."""

    how: How
    exit_code: int


class RunResult(Value, frozen=True, kw_only=True):
    """One run on one device.

    Attributes:
        config: what ran, where it was a configuration of the reference step; else ``command`` says it.
        test: pytest's node id, where it was a test of a project.
        machine: the cards of a machine with several, ``device`` the first of them; () where there is one.
        processes: those that used the GPU, the one that reserved most first.
        world: how many ranks the run has, those that were left out included (``core.ranks``); 1: it has none.
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
    machine: tuple[CardsAlike, ...] = ()
    environment: Environment
    outcome: Outcome
    processes: tuple[ProcessMemory, ...] = ()
    world: int = 1
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
    def device_name(self) -> str:
        """The card's, or all cards of a machine; empty where it is not known."""
        return ", ".join(f"{each.cards} x {each.device.name}" for each in self.machine) or self.device.name

    def device_of(self, card: int) -> Device:
        """One of the machine's cards, see ``core.device.device_of``."""
        return device_of(self.machine, self.device, card)

    def on_card(self, card: int) -> RunResult:
        """What happened on one card of the machine, as if it were alone there."""
        there = tuple(
            msgspec.structs.replace(each, other_cards=()) for each in self.on_every_card if each.card == card
        )
        return msgspec.structs.replace(
            self, processes=there, device=self.device_of(card), machine=(), world=1
        )

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
        return fullest_card(self.on_every_card or (self.main,), self.device.context_bytes)

    @property
    def on_every_card(self) -> tuple[ProcessMemory, ...]:
        """Of each process what it did with each card, its own ones first."""
        return (*self.processes, *(other for each in self.processes for other in each.elsewhere))

    @property
    def cards(self) -> tuple[int, ...]:
        """The numbers of those that were used, in order."""
        return tuple(sorted({each.card for each in self.on_every_card}))

    @property
    def oom(self) -> OutOfMemory | None:
        """The out-of-memory that ended it, else the first one that was caught; ``None`` without any."""
        found = [each.oom for each in self.on_every_card if each.oom is not None]
        return min(found, key=lambda oom: oom.caught, default=None)
