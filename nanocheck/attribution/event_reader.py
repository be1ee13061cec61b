"""Journals as they are on disk, made into one ``Observation`` for each process."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field, replace
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


#: An entry's place among the events of each card, or its figures: by the card's number in the run, or by
#: ``None`` where the process sees one card alone.
Placed = dict[int | None, dict[str, int]]
_NOTHING = {"allocations": 0}
#: Of an observation, what is another for each card.
_BY_CARD = ("events", "marks", "owners", "ooms", "losses", "loss_backwards")


@dataclass(slots=True)
class Lines:
    """What lines say of several cards at once, as it was written; ``Observation`` has it by card."""

    events: dict[int | None, list[tuple[str, int, int, int]]] = field(default_factory=dict)
    missing: Counter[int | None] = field(default_factory=Counter)
    marks: list[tuple[str, Frame | None, Placed]] = field(default_factory=list)
    owners: list[tuple[Placed, dict[str, list[Owned]]]] = field(default_factory=list)
    losses: list[tuple[Placed, Loss]] = field(default_factory=list)
    loss_backwards: list[tuple[Placed, LossBackward]] = field(default_factory=list)
    last: Placed = field(default_factory=dict)

    @property
    def cards(self) -> set[int]:
        """Those that something was asked of."""
        asked = [card for card, rows in self.events.items() if rows]
        asked += [card for card, figures in self.last.items() if figures["allocations"]]
        return {card for card in asked if card is not None}


@dataclass(slots=True)
class Observation:
    """What one process wrote of one card; any part may be missing, since a process can die at any moment.

    ``others`` is the same of further cards that it used, by their numbers in the run.
    """

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
    ran_out: bool = False  # it ended by an out-of-memory, by all that is known of its end (``recovery.py``)
    others: dict[int, Observation] = field(default_factory=dict)

    @property
    def card(self) -> int:
        """Which it had in the end: a script chooses its card after CUDA has begun."""
        said = self.end or self.start
        return 0 if said is None else said.card

    def without_events(self) -> Observation:
        """Of a card that PyTorch asked nothing of."""
        nothing: dict[str, Any] = {name: [] for name in _BY_CARD}
        return replace(self, missing=0, last={}, others={}, **nothing)

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
    found, lines = Observation(writer=int(pid) if pid.isdecimal() and len(pid) < 10 else 0), Lines()
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            # The process died in the middle of it, or it is odd.
            with contextlib.suppress(*_ODD):
                entry = msgspec.convert(parse_json(line, most=_MOST), dict[str, Any])
                _take(found, lines, msgspec.convert(entry.pop("kind", ""), str), entry)
    _fill(found, found.card, lines)
    for card in sorted(lines.cards - {found.card}):
        found.others[card] = other = replace(found, others={})
        _fill(other, card, lines)
    ooms = found.ooms
    for card, one in ((found.card, found), *found.others.items()):
        one.ooms = [each for each in ooms if each.card == card or (each.card is None and one is found)]
    return found


def _fill(found: Observation, card: int, lines: Lines) -> None:
    """What the lines say of one card. One that is not named is the only one."""

    def at(placed: Placed) -> dict[str, int]:
        return placed.get(card) or placed.get(None) or _NOTHING

    def count(placed: Placed) -> int:
        return at(placed)["allocations"]

    found.events = [*lines.events.get(None, ()), *lines.events.get(card, ())]
    found.missing = lines.missing[None] + lines.missing[card]
    found.marks = [
        Mark(what, count(placed), where, at(placed) if placed.keys() & {card, None} else {})
        for what, where, placed in lines.marks
    ]
    found.owners = [(count(placed), kinds) for placed, kinds in lines.owners]
    found.losses = [msgspec.structs.replace(each, allocations=count(at)) for at, each in lines.losses]
    found.loss_backwards = [
        msgspec.structs.replace(each, allocations=count(at)) for at, each in lines.loss_backwards
    ]
    found.last = lines.last.get(card) or lines.last.get(None) or {}


def _placed(entry: dict[str, Any]) -> Placed:
    """Takes out what an entry says of its place."""
    card = msgspec.convert(entry.pop("card", None), int | None)
    others = msgspec.convert(entry.pop("others", {}), dict[str, dict[str, int] | int])
    figures = {name: value for name, value in entry.items() if type(value) is int}
    found: Placed = {card: {**figures, "allocations": figures["allocations"]}}
    for number, each in others.items():
        found[int(number)] = each if isinstance(each, dict) else {"allocations": each}
    return found


def _take(found: Observation, lines: Lines, kind: str, entry: dict[str, Any]) -> None:
    if kind == "stack":
        # A stack that was lost leaves an empty one, so that the numbers of the others hold.
        lost = msgspec.convert(entry["id"], int) - len(found.stacks)
        frames = msgspec.convert(entry["frames"], tuple[Frame, ...])
        if lost <= _MOST_LOST:
            found.stacks.extend(() for _ in range(lost))
            found.stacks.append(frames)
    elif kind == "events":
        card = msgspec.convert(entry.get("card"), int | None)
        rows = msgspec.convert(entry["rows"], list[tuple[Action, int, int, int]])
        lines.missing[card] += msgspec.convert(entry["missing"], int)
        lines.events.setdefault(card, []).extend(rows)
    elif kind in ("mark", "step"):
        where = msgspec.convert(entry.pop("where", None), Frame | None)
        what = msgspec.convert(entry.pop("what", kind), str)
        placed = _placed(entry)
        msgspec.convert(entry, dict[str, int])
        lines.marks.append((what, where, placed))
        lines.last |= placed
    elif kind == "owners":
        kinds = msgspec.convert(entry["kinds"], dict[str, list[Owned]])
        lines.owners.append((_placed(entry), kinds))
    elif kind == "graph":
        found.graphs.append(msgspec.convert(entry["lines"], dict[str, Frame]))
    elif kind == "oom":
        found.ooms.append(msgspec.convert(entry, Request))
    elif kind == "loss":
        lines.losses.append((_placed(entry), msgspec.convert(entry, Loss)))
    elif kind == "loss-backward":
        lines.loss_backwards.append((_placed(entry), msgspec.convert(entry, LossBackward)))
    elif kind in ENTRIES:
        setattr(found, kind, msgspec.convert(entry, ENTRIES[kind]))
        if kind == "end":
            lines.last |= _placed(entry)
