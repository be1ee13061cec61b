"""The ranks of a run, and the cards of a process, as rows of a table, and which of them are shown in full."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nanocheck.core.process_memory import ProcessMemory
from nanocheck.core.ranks import by_rank, imbalance, need, ran
from nanocheck.core.result import RunResult
from nanocheck.core.units import mib
from nanocheck.core.verdict import JudgedRun, Kind

#: From so many ranks on, neighbours with the same figures share a row.
MOST_ROWS = 16
#: Cells of a row that are numbers.
ROW_NUMBERS = ("rank", "card", "allocated", "reserved", "process")


@dataclass(frozen=True, kw_only=True)
class RankRow:
    """Neighbouring ranks, ``first`` to ``last``, whose figures are those of ``memory``; ``None``: a process
    without a rank.

    Attributes:
        cards: of the first and of the last one.
        kind: their verdict; ``None`` in a result that was stored without.
    """

    first: int | None
    last: int | None
    cards: tuple[int, int]
    memory: ProcessMemory
    kind: Kind | None

    @property
    def name(self) -> str:
        return "" if self.first is None or self.last is None else _span(self.first, self.last)

    @property
    def card(self) -> str:
        return _span(*self.cards)

    def cells(self) -> dict[str, str]:
        """By the name of its column; sizes in MiB."""
        return {
            "rank": self.name,
            "card": self.card,
            "allocated": mib(self.memory.allocated_bytes),
            "reserved": mib(self.memory.reserved_bytes),
            "process": mib(self.memory.process_bytes),
            "verdict": "" if self.kind is None else self.kind.value,
        }

    @property
    def figures(self) -> tuple[object, ...]:
        """What a row says beside its rank and card."""
        memory = self.memory
        return (memory.allocated_bytes, memory.reserved_bytes, need(memory), self.kind, memory.at)


def rank_rows(run: JudgedRun) -> list[RankRow]:
    """In the order of ranks and of their cards; [] where fewer than two ran, on one card each."""
    ranks = by_rank(run.result)
    kinds: list[Kind | None] = [each.kind for each in run.verdict.ranks] or [None] * len(ranks)
    rows = [
        RankRow(first=each.rank, last=each.rank, cards=(each.card, each.card), memory=each, kind=kind)
        for each, kind in zip(ranks, kinds, strict=False)
    ]
    return rows if len(rows) <= MOST_ROWS else _joined(rows)


def row_cells(rows: Sequence[RankRow]) -> list[dict[str, str]]:
    """Of each row its cells; without the ranks where no row has one."""
    ranks = any(row.name for row in rows)
    return [{name: text for name, text in row.cells().items() if ranks or name != "rank"} for row in rows]


def in_full(result: RunResult) -> list[ProcessMemory]:
    """The processes that are shown with all they hold, on each card of which PyTorch had any: each; of
    several ranks the fullest, the emptiest if it needs less, and those that ran out of memory. The fullest is
    first.
    """
    if len(ran(result)) < 2:
        return [card for each in result.processes for card in _with_tensors(each)]
    ranks = [each for each in result.on_every_card if each.rank is not None]
    chosen = [max(ranks, key=need)]
    found = imbalance(result.processes)
    if found is not None:
        chosen.append(found.emptiest)
    chosen += [each for each in result.on_every_card if each.oom is not None or each.rank is None]
    return [each for index, each in enumerate(chosen) if each not in chosen[:index]]


def imbalance_sentence(result: RunResult) -> str:
    """By how much the fullest rank exceeds the emptiest, and in which group; empty where they are equal."""
    found = imbalance(result.processes)
    if found is None:
        return "" if len(ran(result)) < 2 else "all of them need the same"
    more = f"{mib(found.more_bytes)} MiB more than rank {found.emptiest.rank}, which needs least"
    where = f": {mib(found.group_bytes)} MiB more of {found.group}" if found.group else ""
    return f"rank {found.fullest.rank} needs most, {more}{where}"


def _with_tensors(process: ProcessMemory) -> list[ProcessMemory]:
    found = [each for each in process.on_each_card if each.reserved_bytes or each.oom is not None]
    return found or [process]


def _joined(rows: Sequence[RankRow]) -> list[RankRow]:
    found: list[RankRow] = []
    for row in rows:
        before = found[-1] if found else None
        if before is not None and _follows(row, before) and before.figures == row.figures:
            found[-1] = RankRow(
                first=before.first,
                last=row.last,
                cards=(before.cards[0], row.cards[1]),
                memory=before.memory,
                kind=row.kind,
            )
        else:
            found.append(row)
    return found


def _follows(row: RankRow, before: RankRow) -> bool:
    return row.first is not None and before.last is not None and before.last == row.first - 1


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first} to {last}"
