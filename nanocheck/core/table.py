"""A compatibility table: settings x cards, what each cell says, and from which run it knows. Pure.

The JSON that ``nanocheck table --json`` writes, and that the site, the fleet and pandas read.
"""

from __future__ import annotations

import json
from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import msgspec

from nanocheck.core.config import StepConfig
from nanocheck.core.files import dump_rows, read_typed
from nanocheck.core.result import Environment, Provenance
from nanocheck.core.verdict import Kind, Verdict

SCHEMA = 1


class How(StrEnum):
    """How a cell is known."""

    RUN = "run"  # the step ran on this very card
    DERIVED = "derived"  # it ran on a card that asks for the same bytes, with more memory than it needs


class TableCard(msgspec.Struct, frozen=True, kw_only=True):
    """A column.

    Attributes:
        gpu: id in the catalog. nominal_bytes: what the shop and ``nvidia-smi`` say.
        usable_bytes, usable_most_bytes: what the driver leaves on the table's platform, least and most.
        usable_source: where that is from; begins with ``computed`` where nobody published it.
        context_bytes, context_most_bytes: what CUDA itself takes, least and most.
    """

    gpu: str
    name: str
    capability: str
    sms: int
    nominal_bytes: int
    usable_bytes: int
    usable_most_bytes: int
    usable_source: str
    context_bytes: int
    context_most_bytes: int


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A row: one configuration. ``group``, ``why``: of the matrix it comes from."""

    id: str
    group: str
    why: str
    config: StepConfig
    parameters: int

    @property
    def way(self) -> str:
        """The same for settings that differ in their batch alone."""
        return replace(self.config, batch=1).id


class CellTime(msgspec.Struct, frozen=True, kw_only=True):
    """Of one optimizer step, in seconds, for the card alone; ``low`` to ``high`` holds 80 % of real steps."""

    seconds: float
    low: float | None
    high: float | None
    tokens_per_second: float | None
    mfu: float
    decided_by: str
    recorded_on: str
    provenance: Provenance = Provenance.MODELLED


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One setting on one card.

    Attributes:
        allocated_bytes, reserved_bytes: peaks; where it does not fit, what it asks for on a card with room.
        how: run, or derived. run_on: the card whose run the figures are from.
        attention: the backend that ran.
        command: gives this cell again, by a run on this card.
        instead: settings of this table that are safe on this card, where this one is not; nearest first.
    """

    setting: str
    gpu: str
    verdict: Verdict
    allocated_bytes: int
    reserved_bytes: int
    attention: str
    how: How
    run_on: str
    provenance: Provenance
    command: str
    time: CellTime | None = None
    instead: tuple[str, ...] = ()


class Runs(msgspec.Struct, frozen=True, kw_only=True):
    """How many runs the table took.

    Attributes:
        with_room: on cards widened until the step fits. on_card: on the card itself: of a border cell, whose
            tensors would fit, and what the allocator reserves would not.
    """

    with_room: int = 0
    on_card: int = 0

    @property
    def total(self) -> int:
        return self.with_room + self.on_card


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A derived cell that a run on its own card contradicts, and what both say."""

    setting: str
    gpu: str
    derived: str
    run: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """Derived cells that were drawn at random, and run on their own cards.

    Attributes:
        sample: how many. fit: how many of them the run finished, and so compared to the byte; of the others
            both must run out of memory.
    """

    sample: int
    fit: int
    seed: int
    differences: tuple[Difference, ...] = ()


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of a search for the largest, on one card.

    Attributes:
        kind: None where the card was not run because it is tight or oom, whichever: the tensors fit, and what
            the allocator reserves leaves less than the margin.
        headroom_bytes: what stays free; None where it does not fit, or that is not known.
        allocated_bytes, reserved_bytes: as of a ``Cell``.
    """

    batch: int
    kind: Kind | None
    headroom_bytes: int | None
    allocated_bytes: int
    reserved_bytes: int
    how: How
    run_on: str

    @property
    def is_safe(self) -> bool:
        return self.kind is Kind.SAFE


class Largest(msgspec.Struct, frozen=True, kw_only=True):
    """The largest safe batch of one way on one card, as far as a search proves it: one step more is not safe.

    Memory need not grow with the batch: nothing is said of batches that were not tried.

    Attributes:
        way: ``Setting.way``.
        batch: 0: not even one sequence is safe. None: not known, see ``reason``.
        safe: the run at ``batch``. beyond: the one at ``batch + 1``, which is not safe; None where the search
            ended at its limit.
        not_safe_below: smaller batches that were tried and are not safe.
        command: finds it again, by runs on this card.
    """

    way: str
    gpu: str
    batch: int | None
    safe: Tried | None = None
    beyond: Tried | None = None
    not_safe_below: tuple[int, ...] = ()
    reason: str = ""
    command: str = ""


class LargestBatches(msgspec.Struct, frozen=True, kw_only=True):
    """The largest safe batches of a table's ways, as a search found them.

    Attributes:
        most: no larger batch was tried.
        found: by way and card; one that is missing was not reached, or its way not asked for.
        left_out: way -> why it was not searched.
        proof: pairs that were drawn at random and run on their own cards, at ``batch`` and one more.
    """

    most: int
    found: tuple[Largest, ...]
    left_out: dict[str, str] = {}
    runs: Runs = Runs()
    proof: Proof | None = None
    seconds: float = 0.0
    complete: bool = True

    def batches(self) -> dict[tuple[str, str], Largest]:
        """(way, card) -> what was found."""
        return {(each.way, each.gpu): each for each in self.found}


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Settings x cards.

    Attributes:
        environment: of the runs. date: ISO, the day on which it was made.
        cells: by setting and card, in their orders; one that is missing was not reached, see ``complete``.
        seconds: wall time that making it took.
        largest: the largest safe batches, where they were searched.
    """

    schema: int = SCHEMA
    environment: Environment
    date: str
    platform: str
    margin_bytes: int
    reserve_bytes: int
    settings: tuple[Setting, ...]
    cards: tuple[TableCard, ...]
    cells: tuple[Cell, ...]
    runs: Runs
    proof: Proof | None = None
    seconds: float = 0.0
    complete: bool = True
    largest: LargestBatches | None = None

    @property
    def share_run(self) -> float:
        """Runs for each cell."""
        return self.runs.total / len(self.cells) if self.cells else 0.0

    def by_setting(self) -> dict[str, list[Cell]]:
        """Setting -> its cells, which may be none."""
        found: dict[str, list[Cell]] = {each.id: [] for each in self.settings}
        for cell in self.cells:
            found[cell.setting].append(cell)
        return found

    def largest_safe(self) -> dict[tuple[str, str], int | None]:
        """(way, card) -> the largest batch of this table from which downwards all are safe; None: not one."""
        ways = {each.id: (each.way, each.config.batch) for each in self.settings}
        found: dict[tuple[str, str], list[tuple[int, bool]]] = {}
        for cell in self.cells:
            way, batch = ways[cell.setting]
            found.setdefault((way, cell.gpu), []).append((batch, cell.verdict.kind is Kind.SAFE))
        answer: dict[tuple[str, str], int | None] = {}
        for key, batches in found.items():
            answer[key] = None
            for batch, safe in sorted(batches):
                if not safe:
                    break
                answer[key] = batch
        return answer


def dumps(table: Table) -> str:
    """Its JSON, a line for each cell and each largest batch, ending in a newline."""
    head = msgspec.to_builtins(msgspec.structs.replace(table, cells=(), largest=None))
    del head["cells"], head["largest"]
    text = dump_rows(head, "cells", [json.dumps(msgspec.to_builtins(each)) for each in table.cells])
    if table.largest is None:
        return text
    head = msgspec.to_builtins(msgspec.structs.replace(table.largest, found=()))
    del head["found"]
    rows = [json.dumps(msgspec.to_builtins(each)) for each in table.largest.found]
    largest = dump_rows(head, "found", rows, indent=2).rstrip()
    body = text.rstrip().removesuffix("}").rstrip()
    return f'{body},\n "largest": {largest}\n}}\n'


def load(path: Path) -> Table:
    """The table in a JSON file.

    Raises:
        StoredDataError: not readable, not such a table, or of another schema.
    """
    return read_typed(path, Table, what="a table", schema=SCHEMA, hint="nanocheck table --json FILE")
