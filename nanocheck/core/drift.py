"""Which peaks moved at which release of PyTorch, by how much, and what explains it.

A ``Drift`` is a table: a row for each thing that ran on a card, a cell for each release. A ``Move`` lies
between two neighbours of a row that have an answer. Sizes are bytes; nothing here names a path, a host or a
user.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import msgspec

from nanocheck.core.result import Group, Outcome, Provenance
from nanocheck.core.schemas import json_schema
from nanocheck.core.torch_versions import version_key
from nanocheck.core.verdict import Kind

SCHEMA = 1


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a table: immutable, strict when read."""


class Release(_Value, frozen=True, kw_only=True):
    """A torch that ran: its version and CUDA's, and the Python it ran in, as that Python's own files say.

    ``installed``: nanocheck made its environment; else it was there.
    """

    torch: str
    cuda: str | None = None
    python: str | None = None
    installed: bool = False


class Cell(_Value, frozen=True, kw_only=True):
    """What ran with one release.

    Attributes:
        torch: the release's version.
        allocated_bytes, reserved_bytes: PyTorch's peaks, of the process that reserved most.
        process_bytes: as ``nvidia-smi`` would show it, of all processes.
        phase: in which the allocated peak was reached.
        groups: who held it then; they sum to ``allocated_bytes``.
        detail: why there is no answer, where ``outcome`` is none.
    """

    torch: str
    outcome: Outcome
    provenance: Provenance
    verdict: Kind
    allocated_bytes: int = 0
    reserved_bytes: int = 0
    process_bytes: int = 0
    phase: str = ""
    groups: tuple[Group, ...] = ()
    detail: str = ""

    @property
    def is_answer(self) -> bool:
        """Whether it says what the memory did to the end."""
        return self.outcome.is_answer


class PeakChange(_Value, frozen=True, kw_only=True):
    """What one place of the program holds at the allocated peak, on both sides of a move.

    Attributes:
        where: ``file:line``, line: its text; ``None`` where no line of the program asked for it, such as a
            workspace of cuBLAS.
        match: how the two sides were found to be one place; ``new`` and ``gone``: one side only.
    """

    group: str
    where: str | None = None
    line: str | None = None
    match: str
    before_bytes: int
    after_bytes: int
    before_count: int
    after_count: int


class SegmentChange(_Value, frozen=True, kw_only=True):
    """How many segments of one size PyTorch held from the driver at the reserved peak, by the request that it
    asked the driver for: the place and the bytes of that request's segment.
    """

    segment_bytes: int
    where: str | None = None
    line: str | None = None
    before_count: int
    after_count: int


class Served(_Value, frozen=True, kw_only=True):
    """The block that served a request.

    Attributes:
        made_bytes: what the driver was asked for, because no free block would do; 0: a free one did.
        largest_free_bytes: the largest free block then, where the driver was asked.
        segment_bytes: of the segment it lies in; 0: not known. offset_bytes: its place there.
        segment_number: among the segments of that size, from 1, in the order in which they were made.
        segment_where, segment_phase, segment_step: the request that the segment was made for.
    """

    made_bytes: int
    largest_free_bytes: int | None = None
    segment_bytes: int
    segment_number: int
    offset_bytes: int
    segment_where: str | None = None
    segment_phase: str | None = None
    segment_step: int = 0


class OtherBlock(_Value, frozen=True, kw_only=True):
    """One request of both releases that got another block.

    Attributes:
        number: its place among all requests of the later release, from 0.
        steps: before and after. They differ where only one release went on so far: then the other one's last
            step stands for all that would follow, which repeat it.
    """

    number: int
    phase: str
    steps: tuple[int, int]
    requested_bytes: int
    where: str | None = None
    line: str | None = None
    before: Served
    after: Served


class Move(_Value, frozen=True, kw_only=True):
    """What is different between two releases.

    Attributes:
        before, after: versions of torch.
        allocated_bytes, reserved_bytes: by how much the peak is higher after.
        verdicts: before and after. phase: of the peak that moved more, after.
        changes: allocations at the allocated peak of other sizes; what they leave over of
            ``allocated_bytes`` is ``unexplained_bytes``.
        segments: they sum to ``reserved_bytes``, where both releases told every request; none with expandable
            segments, and the largest only where ``notes`` says so.
        first_other: the first large request that got another block. decisive: the largest request for which
            only one of the two asked the driver. in_the_way: what lies there in the segment that served it
            with the other release; then what lies where that one lies with the other release, and so on.
        notes: what a reader must know beside the figures.
    """

    before: str
    after: str
    allocated_bytes: int
    reserved_bytes: int
    verdicts: tuple[Kind, Kind]
    phase: str
    changes: tuple[PeakChange, ...] = ()
    unexplained_bytes: int = 0
    segments: tuple[SegmentChange, ...] = ()
    first_other: OtherBlock | None = None
    decisive: OtherBlock | None = None
    in_the_way: tuple[OtherBlock, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The larger of the two, whichever way it went."""
        return max(abs(self.allocated_bytes), abs(self.reserved_bytes))


class Row(_Value, frozen=True, kw_only=True):
    """One thing that ran on one card, or one rank of it on a machine with several.

    Attributes:
        name: a configuration's id or a command as one types it.
        rank: of a distributed command, whose row this is; each rank that ran has one.
        gpu, card: the card's id and name; of a machine as ``--gpu`` takes it, and the rank's own card.
        cells: in the order of the table's releases.
    """

    name: str
    rank: int | None = None
    is_configuration: bool
    gpu: str
    card: str
    capability: str
    cells: tuple[Cell, ...]
    moves: tuple[Move, ...] = ()


class Drift(_Value, frozen=True, kw_only=True):
    """Rows by releases, the oldest release first.

    Attributes:
        asked: the command line that made it, without paths of the machine.
        complete: not interrupted.
    """

    schema: int = SCHEMA
    nanocheck: str
    date: str
    asked: str
    releases: tuple[Release, ...]
    rows: tuple[Row, ...]
    complete: bool = True

    def moved(self, above_bytes: int = 0) -> tuple[tuple[Row, Move], ...]:
        """Moves of more than so many bytes, and those that change a verdict."""
        return tuple(
            (row, move)
            for row in self.rows
            for move in row.moves
            if move.size_bytes > above_bytes or move.verdicts[0] is not move.verdicts[1]
        )

    @property
    def unanswered(self) -> tuple[tuple[Row, Cell], ...]:
        """Cells that say nothing about memory."""
        return tuple((row, cell) for row in self.rows for cell in row.cells if not cell.is_answer)


def in_order(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    """The oldest release first."""
    return tuple(sorted(cells, key=lambda each: version_key(each.torch)))


def neighbours(cells: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """Neighbouring releases with an answer that differ; what lies between without one is skipped."""
    known = [each for each in in_order(cells) if each.is_answer]
    return [(old, new) for old, new in pairwise(known) if _figures(old) != _figures(new)]


def _figures(cell: Cell) -> tuple[Any, ...]:
    return cell.allocated_bytes, cell.reserved_bytes, cell.verdict


def schema_of_file() -> dict[str, Any]:
    """The JSON Schema of what ``nanocheck drift --json`` writes."""
    return json_schema(Drift, "What nanocheck drift writes")
