"""What a script did about an out-of-memory that it caught: looked for a smaller batch, or lost the work.

A search (accelerate's finder, a loop that halves the batch) repeats the same work in a smaller form: every
step after it is smaller than every step before. Whoever skips a batch that did not fit goes on with steps as
large as those before. Where nothing decides, work was lost.
"""

from __future__ import annotations

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


def recovered(seen: Observation) -> Recovered | None:
    """What the process did about its out-of-memories; ``None`` where there was none, or one ended it."""
    failures = [index for index, event in enumerate(seen.events) if event[0] == "o"]
    if not seen.ooms or (seen.failed is not None and seen.failed.oom):
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
