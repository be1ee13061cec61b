"""Ranks that wait for each other stop together: one that leaves as soon as it knows its own answer would end
the others in a collective.

Ranks may be some steps apart, since nobody waits for large collectives. All leave after the same step or a
later one: the step after that in which the last of them knew its answer. By then a rank has issued every
collective that another needs to come so far.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

#: Steps for which a rank waits that knows its answer: another may never know one.
MOST = 60


class StoppingTogether:
    """Of one rank. ``folder`` is that of the run, shared by all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: int | None = None

    def may_stop(self, step: int, *, known: bool, own: int, ranks: Collection[int]) -> bool:
        """After each step of a run.

        Args:
            step: how many ended. known: whether this rank could stop for itself.
            own: its number. ranks: those that run, this one among them.
        """
        if known and self._known is None:
            self._known = step
            self._tell(own, step)
        if self._known is None:
            return False
        told = [self._told(each) for each in ranks]
        if None in told:
            return step - self._known >= MOST
        # The only rank has nobody to wait for.
        return len(told) == 1 or step > max(each for each in told if each is not None)

    def _tell(self, own: int, step: int) -> None:
        temporary = self._folder / f"knows-{own}.part"
        temporary.write_text(str(step))
        temporary.rename(self._path(own))

    def _told(self, rank: int) -> int | None:
        try:
            return int(self._path(rank).read_text())
        except FileNotFoundError:
            return None

    def _path(self, rank: int) -> Path:
        return self._folder / f"knows-{rank}"
