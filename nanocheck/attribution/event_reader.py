"""Journals as they are on disk, made into one ``Observation`` for each process."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from nanocheck.attribution.journal_entries import (
    ENTRIES,
    AllocatorSettings,
    Broken,
    End,
    Failed,
    Frame,
    Loss,
    LossBackward,
    Request,
    Start,
    VirtualFacts,
    Workspaces,
)
from nanocheck.core.coverage import Coverage
from nanocheck.core.host_time import HostTime
from nanocheck.core.measured_step import StepReadings
from nanocheck.core.strict_text import parse_json

#: What the allocator did, as ``observe.allocator_history`` abbreviates it.
Action = Literal["a", "r", "f", "S", "F", "M", "U", "o"]
#: Address, bytes, name and shape of a tensor that a live object holds.
Owned = tuple[int, int, str, list[int]]
#: So many stacks may be missing between two that are there; more is no journal of ours.
_MOST_LOST = 100_000
#: Any address, size or count of ours is smaller.
_MOST = 10**17 - 1
#: What a line raises that a process died in the middle of, or that is no entry of ours.
_ODD = (ValueError, msgspec.ValidationError, RecursionError, LookupError, TypeError)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment between two allocations.

    Attributes:
        what: ``backward+``, ``optimizer-``, ``evaluation+`` and so on, or ``step``.
        allocations: how many allocations had happened: the mark's place among the events.
        where: file, line and function of the script, where known.
        statistics: PyTorch's own peaks and totals at this moment.
    """

    what: str
    allocations: int
    where: Frame | None
    statistics: dict[str, int]


@dataclass(slots=True)
class Observation:
    """What one process wrote; any part may be missing, since a process can die at any moment."""

    start: Start | None = None
    stacks: list[tuple[Frame, ...]] = field(default_factory=list)
    events: list[tuple[str, int, int, int]] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    owners: list[tuple[int, dict[str, list[Owned]]]] = field(default_factory=list)
    graphs: list[dict[str, Frame]] = field(default_factory=list)
    ooms: list[Request] = field(default_factory=list)
    failed: Failed | None = None
    broken: Broken | None = None
    end: End | None = None
    host_time: HostTime | None = None
    workspaces: Workspaces | None = None  # where they were told after the end
    card_steps: StepReadings | None = None
    coverage: Coverage = field(default_factory=Coverage)
    last: dict[str, int] = field(default_factory=dict)  # PyTorch's own figures, the last ones written
    losses: list[Loss] = field(default_factory=list)
    loss_backwards: list[LossBackward] = field(default_factory=list)
    writer: int = 0  # process that wrote it, by the journal's name
    missing: int = 0  # allocations that happened while nobody recorded

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.writer if self.start is None else self.start.pid

    @property
    def virtual_facts(self) -> VirtualFacts:
        """What only the virtual GPU knows; nothing on a real one, or where the process died."""
        return VirtualFacts() if self.end is None else self.end.virtual

    @property
    def workspace_addresses(self) -> tuple[int, ...]:
        """Of cuBLAS's workspaces; () where the process died."""
        if self.workspaces is not None:
            return self.workspaces.addresses
        return () if self.end is None else self.end.workspaces

    @property
    def settings(self) -> AllocatorSettings:
        """The allocator's own, as they were last."""
        last = self.end or self.start
        return AllocatorSettings() if last is None else last.settings


def read(folder: Path) -> list[Observation]:
    """Every process that used a GPU or could not be observed, in the order in which they began to."""
    found = []
    for path in sorted(folder.glob("*.jsonl"), key=lambda each: (each.stat().st_ctime_ns, each.name)):
        observation = _read_one(path)
        # One that broke before it began knows nothing but that its process used a GPU.
        if observation.start is not None or observation.broken is not None:
            found.append(observation)
    return found


def _read_one(path: Path) -> Observation:
    pid, _, _ = path.name.partition("-")
    found = Observation(writer=int(pid) if pid.isdecimal() and len(pid) < 10 else 0)
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            # The process died in the middle of it, or it is odd.
            with contextlib.suppress(*_ODD):
                entry = msgspec.convert(parse_json(line, most=_MOST), dict[str, Any])
                _take(found, msgspec.convert(entry.pop("kind", ""), str), entry)
    return found


def _take(found: Observation, kind: str, entry: dict[str, Any]) -> None:
    if kind == "stack":
        # A stack that was lost leaves an empty one, so that the numbers of the others hold.
        lost = msgspec.convert(entry["id"], int) - len(found.stacks)
        frames = msgspec.convert(entry["frames"], tuple[Frame, ...])
        if lost <= _MOST_LOST:
            found.stacks.extend(() for _ in range(lost))
            found.stacks.append(frames)
    elif kind == "events":
        rows = msgspec.convert(entry["rows"], list[tuple[Action, int, int, int]])
        found.missing += msgspec.convert(entry["missing"], int)
        found.events.extend(rows)
    elif kind in ("mark", "step"):
        where = msgspec.convert(entry.pop("where", None), Frame | None)
        what = msgspec.convert(entry.pop("what", kind), str)
        statistics = msgspec.convert(entry, dict[str, int])
        found.marks.append(Mark(what, statistics["allocations"], where, statistics))
        found.last = statistics
    elif kind == "owners":
        kinds = msgspec.convert(entry["kinds"], dict[str, list[Owned]])
        found.owners.append((msgspec.convert(entry["allocations"], int), kinds))
    elif kind == "graph":
        found.graphs.append(msgspec.convert(entry["lines"], dict[str, Frame]))
    elif kind == "oom":
        found.ooms.append(msgspec.convert(entry, Request))
    elif kind == "loss":
        found.losses.append(msgspec.convert(entry, Loss))
    elif kind == "loss-backward":
        found.loss_backwards.append(msgspec.convert(entry, LossBackward))
    elif kind in ENTRIES:
        setattr(found, kind, msgspec.convert(entry, ENTRIES[kind]))
        if kind == "end":
            found.last = {name: value for name, value in entry.items() if type(value) is int}
