"""How long this host needs for a step: the virtual card does no work, so a warm step's time is the host's."""

from __future__ import annotations

import functools
import time
from typing import Any

import torch.utils.data

from nanocheck.observe import introspect

#: Steps that are timed, as long as they take no longer than so many seconds together.
STEPS, SECONDS = 5, 2.0


class LoaderTime:
    """Seconds that the main process spent waiting for its DataLoaders, since the process began."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def install(self) -> None:
        """Around every DataLoader's ``__next__``."""
        base: Any = torch.utils.data.dataloader._BaseDataLoaderIter
        original = base.__next__

        @functools.wraps(original)
        def timed(iterator: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(iterator)
            finally:
                self.seconds += time.perf_counter() - began

        base.__next__ = timed


class HostClock:
    """Times steps from boundary to boundary.

    Args:
        loader: see ``LoaderTime``; ``None``: nobody looks at DataLoaders.
    """

    def __init__(self, loader: LoaderTime | None = None) -> None:
        self._loader = loader
        self._last = self._now()
        self._began = self._last[0]
        self._steps: list[tuple[float, float, int]] = []

    def _now(self) -> tuple[float, float, int]:
        waits = introspect.counters().get("waits", 0)
        return time.perf_counter(), 0.0 if self._loader is None else self._loader.seconds, waits

    def step_ended(self) -> bool:
        """One more step is over; whether that is enough."""
        now = self._now()
        self._steps.append(tuple(after - before for after, before in zip(now, self._last)))  # type: ignore[arg-type]
        enough = len(self._steps) >= STEPS or now[0] - self._began > SECONDS
        self._last = self._now()
        return enough

    def entry(self) -> dict[str, Any]:
        """For the journal: seconds of each step, those inside DataLoaders among them, and how often the host
        waited for the card."""
        seconds, loader, waits = (list(each) for each in zip(*self._steps)) if self._steps else ([], [], [])
        return {"seconds": seconds, "loader_seconds": loader, "waits": waits}
