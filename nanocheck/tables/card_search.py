"""The search for the largest safe batch on one card: what is known, and what to ask for next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nanocheck.core.device import Target
from nanocheck.core.result import RunResult
from nanocheck.core.table import Cell, How, Table, Tried
from nanocheck.core.verdict import Verdict
from nanocheck.search.bisection import Found, Outcome, largest_that_fits


@dataclass(frozen=True)
class _Seen:
    """A batch as the bisection wants it."""

    fits: bool
    need_bytes: int | None


class CardSearch:
    """The bisection of one way on one card.

    Attributes:
        batch: what it asks for next, None once it has ended.
        found: what it ended with; None where it was given up, see ``reason``.
        tried: all that is known, by batch.
    """

    def __init__(self, target: Target, known: Sequence[Tried], most: int, margin_bytes: int) -> None:
        self.target, self.margin_bytes = target, margin_bytes
        self.batch: int | None = None
        self.found: Found | None = None
        self.reason = ""
        self.tried = {each.batch: each for each in known}
        self._asking = largest_that_fits(
            range(1, most + 1),
            target.device.surely_available_bytes - margin_bytes,
            known={batch: _seen(each) for batch, each in self.tried.items()},
            probes=(),
        )
        self._go_on(None)

    def learn(self, new: Mapping[int, Tried]) -> None:
        """Of the batch that it asked for, and of any other that was run for somebody else."""
        self.tried |= new
        self._go_on({batch: _seen(each) for batch, each in new.items()})

    def give_up(self, reason: str) -> None:
        self.batch, self.reason = None, reason

    def _go_on(self, new: Mapping[int, Outcome] | None) -> None:
        try:
            (self.batch,) = next(self._asking) if new is None else self._asking.send(new)
        except StopIteration as end:
            self.batch, self.found = None, end.value


def tried(batch: int, verdict: Verdict | None, run: RunResult, how: How, run_on: str) -> Tried:
    """
    Args:
        verdict: None: not safe, whatever a run on the card would say.
    """
    return Tried(
        batch=batch,
        kind=None if verdict is None else verdict.kind,
        headroom_bytes=None if verdict is None else verdict.headroom_bytes,
        allocated_bytes=run.main.allocated_bytes,
        reserved_bytes=run.main.reserved_bytes,
        how=how,
        run_on=run_on,
    )


def _seen(each: Tried) -> _Seen:
    # A run that died on the card itself says what it had until then, not what it needs.
    died = each.how is How.RUN and each.headroom_bytes is None
    return _Seen(fits=each.is_safe, need_bytes=None if died else each.reserved_bytes)


def known_of(table: Table, way: str, target: Target) -> tuple[list[Tried], str | None]:
    """What the table says of a way on a card, its cells and an earlier search; and, of cells that say nothing
    of memory, what else.
    """
    batches = {each.id: each.config.batch for each in table.settings if each.way == way}
    cells = [each for each in table.cells if each.gpu == target.gpu.id and each.setting in batches]
    said = [_of_cell(each, batches[each.setting]) for each in cells if each.verdict.is_answer]
    if table.largest is not None and (found := table.largest.batches().get((way, target.gpu.id))):
        said += [each for each in (found.safe, found.beyond) if each is not None]
    silent = [f"{each.verdict.kind}: {each.verdict.sentence}" for each in cells if not each.verdict.is_answer]
    return said, silent[0] if silent else None


def _of_cell(cell: Cell, batch: int) -> Tried:
    return Tried(
        batch=batch,
        kind=cell.verdict.kind,
        headroom_bytes=cell.verdict.headroom_bytes,
        allocated_bytes=cell.allocated_bytes,
        reserved_bytes=cell.reserved_bytes,
        how=cell.how,
        run_on=cell.run_on,
    )
