"""How long the published machines' hosts take to issue a launch, as far as their own rows show it.

nanocheck measures the host it runs on; of others only the tables are left. Where two rows of one table (same
source, card, precision, mode and segment) take equally long for each launch, though the card has a quarter
more to do in one than in the other, the card cannot be what decides the lighter one: its time is the host's.
Such a row measures the host for the others of its table, and validates nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

#: Times for a launch count as equal up to this, and the card's work as more from this on.
EQUAL, MORE = 1.1, 1.25


@dataclass(frozen=True, kw_only=True)
class Run:
    """One row: its ``table``, launches, seconds published, and seconds of the card alone, modelled."""

    table: tuple[str, ...]
    launches: int
    real: float
    card: float


def hosts(runs: Sequence[Run]) -> tuple[dict[tuple[str, ...], float], set[int]]:
    """Table -> the host's seconds for a launch; and which of the rows say so."""
    tables: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, run in enumerate(runs):
        tables[run.table].append(index)
    each, used = {}, set()
    for table, members in tables.items():
        shown = [one for one in members if any(_host_bound(runs[one], runs[other]) for other in members)]
        if shown:
            fastest = min(shown, key=lambda one: runs[one].real / runs[one].launches)
            each[table] = runs[fastest].real / runs[fastest].launches
            used.add(fastest)
    return each, used


def _host_bound(light: Run, heavy: Run) -> bool:
    slower = (heavy.real / heavy.launches) / (light.real / light.launches)
    more = (heavy.card / heavy.launches) / (light.card / light.launches)
    return 1 / EQUAL <= slower <= EQUAL and more >= MORE
