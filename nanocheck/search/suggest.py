"""What would make it fit: found by running it, not by guessing.

Expandable segments, a smaller or larger batch, and both. A figure only chooses which batch to try next; every
figure that is shown was run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.background_run import BackgroundRuns, Variation
from nanocheck.measuring.request import Request
from nanocheck.search.batch_argument import BatchArgument
from nanocheck.search.bisection import largest_that_fits
from nanocheck.search.candidates import MOST, Candidate, Suggestions, name_of, to_suggestions
from nanocheck.search.scheduler import drive

#: torch 2.9 renamed the variable; older ones read only the second, newer ones prefer the first.
_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_EXPANDABLE = "expandable_segments:True"
_FINE = 32

#: Asks for one run with (batch, expandable segments), is sent it.
Asking = Generator[tuple[int | None, bool], JudgedRun, None]


def suggest(
    request: Request,
    first: JudgedRun,
    batch: BatchArgument | None,
    show: Callable[[int, list[str]], None],
) -> Suggestions:
    """Search around a run.

    Args:
        first: the run of the command as it is.
        batch: which argument may change; None: only the allocator.
        show: called with the number of finished runs and the names of those that run.
    """
    given = None if batch is None else batch.value
    candidates = [Candidate(batch=given, expandable=False, run=first)]
    asking = search(candidates, expandable=not is_expandable(os.environ))

    def variations() -> Generator[Sequence[Variation], Sequence[JudgedRun], None]:
        with contextlib.suppress(StopIteration):
            size, expandable = next(asking)
            while True:
                variation = Variation(
                    name=name_of(batch, size, expandable),
                    command=tuple(batch.set(request.command, size)) if batch and size else None,
                    environment=with_expandable(os.environ) if expandable else {},
                )
                size, expandable = asking.send((yield [variation])[0])

    complete = False
    with contextlib.suppress(KeyboardInterrupt), BackgroundRuns(request, 1, show) as runs:
        drive(runs, [variations()])
        complete = True
    return to_suggestions(candidates, batch, complete=complete)


def search(candidates: list[Candidate], *, expandable: bool = True) -> Asking:
    """Every further run that is worth making; each is added to the candidates.

    Args:
        candidates: the run as given. Nothing is searched around one that says nothing about memory.
        expandable: whether expandable segments can be tried; they are on already otherwise.
    """
    start = candidates[0]
    if not start.is_answer:
        return
    ways = [start]
    if expandable:
        run = yield start.batch, True
        ways.append(Candidate(batch=start.batch, expandable=True, run=run))
        candidates.append(ways[-1])
    for way in ways:
        if way.batch is not None and way.is_answer:
            yield from _largest(candidates, way, way.batch)


def _largest(candidates: list[Candidate], start: Candidate, given: int) -> Asking:
    """Runs between 1 and ``MOST`` times the given batch, until the largest that fits is known.

    Exactly up to 63, to one part in 32 above: nobody trains with a batch of 1,237.
    """
    sizes = range(1, MOST * given + 1) if start.fits else range(1, given + 1)
    bisection = largest_that_fits(
        sizes,
        start.run.result.device.available_bytes,
        known={given: start},
        probes=(),
        close_enough=lambda fits, refused: refused - fits <= max(1, fits // _FINE),
    )
    with contextlib.suppress(StopIteration):
        (size,) = next(bisection)
        while True:
            run = yield size, start.expandable
            candidate = Candidate(batch=size, expandable=start.expandable, run=run)
            candidates.append(candidate)
            (size,) = bisection.send({size: candidate})


def is_expandable(environment: Mapping[str, str]) -> bool:
    """Whether the allocator is told to use expandable segments already."""
    value = next(_values(environment), "")
    return "expandable_segments:true" in value.replace(" ", "").lower()


def with_expandable(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that add expandable segments to what the allocator is told."""
    value = next(_values(environment), "")
    kept = [part for part in value.split(",") if part and not part.strip().startswith("expandable_segments")]
    return dict.fromkeys(_ALLOCATOR_VARIABLES, ",".join([*kept, _EXPANDABLE]))


def _values(environment: Mapping[str, str]) -> Iterator[str]:
    return (environment[name] for name in _ALLOCATOR_VARIABLES if environment.get(name))
