"""When the answer is known: further optimizer steps cannot raise the peak, if the program repeats itself.

What a step allocates is decided by the program and by what the allocator's free blocks look like when the
step begins. Three steps are not enough to know either: with expandable segments GPT-2 124M (fp32, batch 6)
reserved 10,406 MiB after three steps, 10,886 after four and 11,366 from the fifth on. So a run stops once a
step has raised no peak and one of these holds:

- the allocator looks as it did at the end of an earlier step: the rest goes round the same circle;
- it never does (a list grows by one small tensor a step, lengths differ), but the peak has rested for as many
  steps as it took to reach it, and for ``RESTED`` at least;
- ``MORE`` steps went by and neither came: nobody knows, and the proof says so.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Steps in which the peak must not move where layouts prove nothing.
RESTED = 16
#: Steps that are waited for beyond those that were asked for.
MORE = 60

REPEATS, RESTS, UNSETTLED, TO_ITS_END = "layout repeats", "peak rested", "not settled", "ran to its end"


class AnswerKnown(SystemExit):
    """Ends the script from within its own code, so that its ``finally`` blocks and exit handlers run."""

    def __init__(self) -> None:
        super().__init__(0)


class Settling:
    """Watches the steps' ends.

    Args:
        at_least: so many steps, the last of which raised no peak.
    """

    def __init__(self, at_least: int) -> None:
        self._at_least = at_least
        self._at_most = at_least + MORE
        self._layouts: dict[Hashable, set[int]] = {}  # of each pool, all that were there where steps ended
        self._peak: tuple[int, ...] = ()
        self._raised = 0  # the step, from 1, that raised a peak last
        self.done = 0  # steps that ended

    def step_ended(
        self, peak: tuple[int, ...], layouts: Mapping[Hashable, int], *, repeats: bool = True
    ) -> str | None:
        """One more step ended; why no further one is needed, or ``None``.

        Args:
            peak: bytes, by any number of measures, since the process began or the script last reset them.
            layouts: see ``layouts_of``.
            repeats: whether the program did in all steps the same, as far as can be seen. Where it did not,
                an equal layout says nothing.
        """
        self.done += 1
        highest = tuple(map(max, peak, self._peak)) if self._peak else peak
        if highest != self._peak:
            self._peak, self._raised = highest, self.done
        seen = all(layout in self._layouts.get(pool, ()) for pool, layout in layouts.items())
        for pool, layout in layouts.items():
            self._layouts.setdefault(pool, set()).add(layout)
        rests = self.done - self._raised
        if self.done < self._at_least:
            return None
        if seen and repeats and rests:
            return REPEATS
        if rests >= max(RESTED, self._raised):
            return RESTS
        return UNSETTLED if self.done >= self._at_most else None

    def postpone(self) -> None:
        """Something is waited for that has not come: begin to count ``MORE`` from here."""
        self._at_most = self.done + MORE


class Growth:
    """Whether every step leaves more behind than the one before."""

    def __init__(self) -> None:
        self._first: tuple[int, int] | None = None  # step and bytes
        self._last = (0, 0)
        self._rises = 0
        self._fell = False

    def step_ended(self, step: int, requested_bytes: int) -> None:
        """What tensors asked for and hold where a step (from 1) ends; the first step makes the state."""
        if step < 2:
            return
        if self._first is None:
            self._first = self._last = (step, requested_bytes)
            return
        self._rises += requested_bytes > self._last[1]
        self._fell |= requested_bytes < self._last[1]
        self._last = (step, requested_bytes)

    @property
    def bytes_per_step(self) -> int:
        """On average; 0 unless it rose in three steps and never fell."""
        if self._first is None or self._fell or self._rises < 3:
            return 0
        return (self._last[1] - self._first[1]) // (self._last[0] - self._first[0])


def layouts_of(
    segments: Iterable[Mapping[str, Any]], device: int, *, retries: int = 0
) -> dict[Hashable, int]:
    """What decides where the allocator puts the next block, of a snapshot's ``segments``: a number for each
    of its pools.

    Pools (of small and of large blocks, by stream, and those of CUDA graphs) take nothing from each other, so
    each goes its own way; unless the card was full and the allocator gave back what no pool used (``retries``
    so often), since when only all of them together say anything.

    Of segments from ``cudaMalloc`` only the order of the addresses counts: the allocator compares no more,
    and a script that empties the cache in each step never gets the same ones again. Which of two tensors of
    one size sits in which of two blocks is not looked at.
    """
    pools: dict[Hashable, list[Hashable]] = {}
    for segment in segments:
        if segment["device"] != device:
            continue
        pool = (segment["stream"], segment["segment_type"], segment.get("segment_pool_id"))
        place = segment["address"] if segment.get("is_expandable") else 0
        blocks = tuple((each["size"], each["requested_size"], each["state"]) for each in segment["blocks"])
        pools.setdefault(pool, []).append((place, segment["total_size"], blocks))
    found: dict[Hashable, int] = {pool: hash(tuple(layout)) for pool, layout in pools.items()}
    return {"all": hash(tuple(found.items()))} if retries else found


def layouts_of_all(segments: Iterable[Mapping[str, Any]], retries: Sequence[int]) -> dict[Hashable, int]:
    """See ``layouts_of``; ``retries`` of each device, in their order."""
    return {
        (device, pool): layout
        for device, times in enumerate(retries)
        for pool, layout in layouts_of(segments, device, retries=times).items()
    }


def announce(folder: str, pid: int) -> None:
    """Tell the parent, which ends the process if it does not end by itself."""
    (Path(folder) / f"answered-{pid}").touch()
