"""How long a host needs to issue a training step: measured, not modelled."""

from __future__ import annotations

import statistics

import msgspec


class HostTime(msgspec.Struct, frozen=True, kw_only=True):
    """Warm steps on the virtual card, which does no work: their wall time is the host's own.

    The real driver's share of each launch is not in it, and it belongs to the machine that ran it.

    Attributes:
        seconds: of each timed step. loader_seconds: of it, inside ``next`` of the main process's DataLoaders.
        waits: how often each step's host waited for the card (``item()``, synchronisations): that takes no
            time here, and the launches before them can not be issued ahead on a real card.
        micro_batches: that ran in each of these steps; fewer than the step has where the others repeat them.
        observed: whether the allocator's history was recorded meanwhile, which takes time of its own.
        recorded: whether a step's kernels were recorded after them.
    """

    seconds: tuple[float, ...] = ()
    loader_seconds: tuple[float, ...] = ()
    waits: tuple[int, ...] = ()
    micro_batches: int = 1
    observed: bool = False
    recorded: bool = False

    @property
    def median_s(self) -> float | None:
        """Seconds of a step; ``None`` where none was timed."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def median_loader_s(self) -> float:
        """Seconds of a step that went into loading data, or waiting for the workers that do."""
        return statistics.median(self.loader_seconds) if self.loader_seconds else 0.0

    @property
    def median_waits(self) -> float:
        """Of a step."""
        return statistics.median(self.waits) if self.waits else 0.0
