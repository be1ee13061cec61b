"""Journals as they are on disk, made into one ``Observation`` for each process."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from nanocheck.attribution.journal_entries import (
    ENTRIES,
    Broken,
    End,
    Failed,
    Frame,
    Loss,
    LossBackward,
    Request,
    Start,
    VirtualFacts,
)
from nanocheck.core.coverage import Coverage


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
    owners: list[tuple[int, dict[str, list[list[Any]]]]] = field(default_factory=list)
    graphs: list[dict[str, Frame]] = field(default_factory=list)
    ooms: list[Request] = field(default_factory=list)
    failed: Failed | None = None
    broken: Broken | None = None
    end: End | None = None
    coverage: Coverage = field(default_factory=Coverage)
    last: dict[str, int] = field(default_factory=dict)  # PyTorch's own figures, the last ones written
    losses: list[Loss] = field(default_factory=list)
    loss_backwards: list[LossBackward] = field(default_factory=list)
    missing: int = 0  # allocations that happened while nobody recorded

    @property
    def pid(self) -> int:
        """Of the process."""
        return 0 if self.start is None else self.start.pid

    @property
    def virtual_facts(self) -> VirtualFacts:
        """What only the virtual GPU knows; nothing on a real one, or where the process died."""
        return VirtualFacts() if self.end is None else self.end.virtual

    @property
    def settings(self) -> dict[str, Any]:
        """The allocator's own, as they were last."""
        if self.end is not None:
            return self.end.settings
        return {} if self.start is None else self.start.settings


def read(folder: Path) -> list[Observation]:
    """Every process that used a GPU, in the order in which they began to."""
    found = []
    for path in sorted(folder.glob("*.jsonl"), key=lambda each: (each.stat().st_ctime_ns, each.name)):
        observation = _read_one(path)
        if observation.start is not None:
            found.append(observation)
    return found


def _read_one(path: Path) -> Observation:
    found = Observation()
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                entry = json.loads(line)
                _take(found, entry.pop("kind", ""), entry)
            except (
                ValueError,
                msgspec.ValidationError,
            ):  # the process died in the middle of it, or it is odd
                continue
    return found


def _take(found: Observation, kind: str, entry: dict[str, Any]) -> None:
    if kind == "stack":
        # A stack that was lost leaves an empty one, so that the numbers of the others hold.
        found.stacks.extend(() for _ in range(entry["id"] - len(found.stacks)))
        found.stacks.append(tuple((file, line, name) for file, line, name in entry["frames"]))
    elif kind == "events":
        found.events.extend((action, at, size, stack) for action, at, size, stack in entry["rows"])
        found.missing += entry["missing"]
    elif kind in ("mark", "step"):
        where = entry.pop("where", None)
        what = entry.pop("what", kind)
        found.last = entry
        found.marks.append(Mark(what, entry["allocations"], tuple(where) if where else None, entry))
    elif kind == "owners":
        found.owners.append((entry["allocations"], entry["kinds"]))
    elif kind == "graph":
        found.graphs.append({name: (place[0], place[1], place[2]) for name, place in entry["lines"].items()})
    elif kind == "oom":
        found.ooms.append(msgspec.convert(entry, Request))
    elif kind == "loss":
        found.losses.append(msgspec.convert(entry, Loss))
    elif kind == "loss-backward":
        found.loss_backwards.append(msgspec.convert(entry, LossBackward))
    elif kind in ENTRIES:
        setattr(found, kind, msgspec.convert(entry, ENTRIES[kind]))
        if kind == "end":
            found.last = {name: value for name, value in entry.items() if isinstance(value, int)}
