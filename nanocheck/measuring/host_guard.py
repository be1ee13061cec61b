"""Ends a run of several ranks that uses up the host's memory, before the kernel kills some process for it."""

from __future__ import annotations

from pathlib import Path

from nanocheck.core.errors import MachineError
from nanocheck.core.units import gib
from nanocheck.observe import absent_ranks, host_memory, host_room

#: What must be left of the host: this part of it, and bytes at least. Ranks take more between two looks.
PART, LEAST_BYTES = 50, 256 << 20


class HostGuard:
    """Asked a few times a second."""

    def __init__(self, folder: Path) -> None:
        """``folder``: the observer's."""
        self._folder = folder
        self._floor = max(host_memory.total_bytes() // PART, LEAST_BYTES)

    def why_end(self) -> str:
        """What was expected and found; empty where all is well, or no rank could be left out."""
        ranks = absent_ranks.begun(str(self._folder))
        if len(ranks) < 2 or (left := host_memory.available_bytes(ranks.values())) >= self._floor:
            return ""
        held = {rank: host_memory.own_bytes(pid) for rank, pid in ranks.items()}
        fullest = max(held, key=lambda rank: held[rank])
        return (
            f"expected {gib(self._floor)} of the host's memory to be left, found {gib(left)}: {len(ranks)} "
            f"ranks hold {gib(sum(held.values()))} of it, the most rank {fullest} with {gib(held[fullest])}"
        )

    def refuse(self, said: str) -> None:
        """After the run; ``said``: what ``why_end`` ended it for, if anything.

        Raises:
            MachineError: the ranks did not fit the host's memory.
        """
        before = host_room.refused(str(self._folder))  # by a launcher, for all of them
        if before is not None:
            raise MachineError(before[0], hint=before[1])
        if said:
            raise MachineError(said, hint=host_room.hint(len(absent_ranks.begun(str(self._folder)))))
