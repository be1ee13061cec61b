"""What a script did about an out-of-memory that it caught: looked for a smaller batch, or lost the work.

A search (accelerate's finder, a loop that halves the batch) repeats the same work in a smaller form: every
step after it is smaller than every step before. Whoever skips a batch that did not fit goes on with steps as
large as those before. Where nothing decides, work was lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from nanocheck.attribution.event_reader import Observation
from nanocheck.core.coverage import Coverage
from nanocheck.core.result import Recovery

#: Steps that must have ended after the last out-of-memory: in the first, what is left of the failed one may
#: still be alive.
_STEPS_AFTER = 2


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of a process that caught an out-of-memory.

    Attributes:
        how: whether it found a size that fits, or lost work.
        since: the event from which on its peaks are those of the size it found; 0 unless it found one.
        retries: of the allocator since then.
    """

    how: Recovery
    since: int = 0
    retries: int = 0


def note_who_ran_out(seen: Sequence[Observation], *, command_failed: bool) -> None:
    """Set ``ran_out`` of each process that an out-of-memory ended. That one was *caught* is said only of a
    process that went on, or ended well.

    The error itself is heard only where it leaves the script or a child of ``multiprocessing``. Else a
    process ended by it that asked for no memory afterwards, and then failed, or was ended or killed before it
    said anything: whoever unwinds an out-of-memory may be waiting for other ranks in a ``finally``.

    Args:
        command_failed: by itself. Whoever started the process may have passed its error on.
    """
    for process in seen:
        # Of several cards nobody knows in which order they were asked: one may have gone on with another.
        several, broken = bool(process.others), process.broken is not None
        lost = process.end is None and not several and not broken
        code = None if process.end is None else process.end.code
        after = process.failed is not None and process.failed.after_oom
        failed = lost or bool(code) or after or command_failed
        for each in (process, *process.others.values()):
            each.ran_out = failed and asked_for_nothing_more(each)


def asked_for_nothing_more(seen: Observation) -> bool:
    """Whether running out of memory was the last that a process did with a card, or was NCCL's."""
    if not seen.ooms or seen.ooms[-1].by:
        return bool(seen.ooms)
    last = max((index for index, event in enumerate(seen.events) if event[0] == "o"), default=-1)
    if last < 0 or any(event[0] == "a" for event in seen.events[last:]):
        return False
    # Of a process that was killed the last events are missing, but not the counts at its marks.
    until = seen.missing + sum(event[0] == "a" for event in seen.events)
    return not any(mark.what.endswith("+") and mark.allocations > until for mark in seen.marks)


def recovered(seen: Observation) -> Recovered | None:
    """What the process did about its out-of-memories; ``None`` where there was none, or one ended it."""
    failures = [index for index, event in enumerate(seen.events) if event[0] == "o"]
    if not seen.ooms or seen.ran_out or (seen.failed is not None and seen.failed.oom):
        return None
    lost = Recovered(Recovery.SKIPPED)
    if not failures:
        return lost
    ends = _step_ends(seen)
    largest = [
        (first, last, max((event[2] for event in seen.events[first:last] if event[0] == "a"), default=0))
        for first, last in pairwise([0, *(index for index, _ in ends)])
    ]
    # The step in which the last one happened is neither: it ended, but began with the failure.
    before = [size for _, last, size in largest if last <= failures[-1]]
    after = [size for first, _, size in largest if first > failures[-1]]
    asked = [each.requested for each in seen.ooms]
    shrinking = len(asked) > 1 and all(later < earlier for earlier, later in pairwise(asked))
    smaller = max(after, default=0) < min(before) if before else shrinking
    if len(after) + 1 < _STEPS_AFTER or not smaller:
        return lost
    since, retries = next(each for each in ends if each[0] > failures[-1])
    return Recovered(Recovery.SEARCHED, since, seen.last.get("retries", 0) - retries)


def coverage_of(seen: Observation, recovery: Recovered | None) -> Coverage:
    """What was seen of a process: where it looked for its batch, the inputs are those it went on with."""
    if recovery is None or recovery.how is not Recovery.SEARCHED:
        return seen.coverage
    return msgspec.structs.replace(
        seen.coverage,
        shapes_seen=seen.coverage.shapes_after_oom,
        shapes_vary=seen.coverage.shapes_vary_after_oom,
    )


def _step_ends(seen: Observation) -> list[tuple[int, int]]:
    """(Event, allocator retries until then) of every end of an optimizer step."""
    counts = [index for index, event in enumerate(seen.events) if event[0] == "a"]
    return [
        (
            counts[mark.allocations - 1] + 1 if 0 < mark.allocations <= len(counts) else len(seen.events),
            mark.statistics.get("retries", 0),
        )
        for mark in seen.marks
        if mark.what == "optimizer-"
    ]
