"""What would make it fit: found by running it, not by guessing.

Expandable segments, a smaller or larger batch, and both. A figure only chooses which batch to try next;
every figure was run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nanocheck.core.device import available_bytes
from nanocheck.measure.background_run import Again, run_all
from nanocheck.measure.request import Request
from nanocheck.search.batch_argument import BatchArgument
from nanocheck.search.candidates import ANSWERS, MOST, Trial, conclusions, name_of

#: torch 2.9 renamed the variable; older ones read only the second, newer ones prefer the first.
_ALLOCATOR_VARIABLES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
_EXPANDABLE = "expandable_segments:True"
#: Guesses that follow the figures before halves are taken.
_GUESSES = 4
_FINE = 32

Ask = Callable[[int | None, bool], dict[str, Any]]


def suggest(
    request: Request,
    first: dict[str, Any],
    batch: BatchArgument | None,
    show: Callable[[int, list[str]], None],
) -> dict[str, Any]:
    """Search around a run that was answered; the answer's ``suggestions``.

    Args:
        first: the answer of the command as it is.
        batch: which argument may change; None: only the allocator.
        show: called with the number of finished runs and the names of those that run.
    """
    made: list[dict[str, Any]] = []

    def ask(size: int | None, expandable: bool) -> dict[str, Any]:
        command = request.command if batch is None or size is None else batch.set(request.command, size)
        environment = with_expandable(os.environ) if expandable else None

        def start() -> Again:
            return Again(request, command=command, environment=environment)

        name = name_of(batch, size, expandable)
        made.extend(each for _, each in run_all([(name, start)], 1, lambda _, names: show(len(made), names)))
        return made[-1]

    given = None if batch is None else batch.value
    trials: list[Trial] = []
    complete = False
    with contextlib.suppress(KeyboardInterrupt):  # what was found until then is told
        for trial in search(first, given, ask, expandable=not is_expandable(os.environ)):
            trials.append(trial)
        complete = True
    return {
        "complete": complete,
        "batch_argument": None if batch is None else batch.name,
        "batch": given,
        "runs": [trial.to_dict() for trial in trials],
        "conclusions": conclusions(trials, batch),
    }


def search(first: dict[str, Any], given: int | None, ask: Ask, *, expandable: bool = True) -> Iterator[Trial]:
    """Every run as it is made, the given one first.

    Args:
        first: the answer as given. Nothing is searched around one that says nothing about memory.
        given: the batch size as given.
        ask: runs with (batch, expandable segments).
        expandable: whether those can be tried; they are on already otherwise.
    """
    start = Trial(batch=given, expandable=False, answer=first)
    yield start
    if start.kind not in ANSWERS:
        return
    ways = [start]
    if expandable:
        ways.append(Trial(batch=given, expandable=True, answer=ask(given, True)))
        yield ways[-1]
    for way in ways:
        if given is not None and way.kind in ANSWERS:
            yield from _largest(way, given, ask)


def _largest(start: Trial, given: int, ask: Ask) -> Iterator[Trial]:
    """Runs between 1 and ``MOST`` times the given batch, until the largest that fits is known.

    Exactly up to 63, to one part in 32 above: nobody trains with a batch of 1,237.
    """
    low, high = (given, MOST * given + 1) if start.fits else (0, given)
    made = 0
    fitting = {given: start.reserved_bytes} if start.fits else {}
    available = available_bytes(start.answer["device"])
    while high - low > max(1, low // _FINE):
        middle = (low + high) // 2
        size = _guess(fitting, available, middle) if made < _GUESSES else middle
        size = min(max(size, low + 1), high - 1)
        trial = Trial(batch=size, expandable=start.expandable, answer=ask(size, start.expandable))
        made += 1
        yield trial
        if trial.fits:
            low = size
            fitting[size] = trial.reserved_bytes
        else:
            high = size


def _guess(fitting: Mapping[int, int], available: int, middle: int) -> int:
    """The batch that would just fill the card, if memory grew with it along a line."""
    sizes = sorted(fitting)[-2:]
    if not sizes or not fitting[sizes[-1]]:
        return middle
    last = sizes[-1]
    if len(sizes) == 1:
        return last * available // fitting[last]
    slope = (fitting[last] - fitting[sizes[0]]) / (last - sizes[0])
    return last + int((available - fitting[last]) / slope) if slope > 0 else middle


def is_expandable(environment: Mapping[str, str]) -> bool:
    """Whether the allocator is told to use expandable segments already."""
    value = next((environment[name] for name in _ALLOCATOR_VARIABLES if environment.get(name)), "")
    return "expandable_segments:true" in value.replace(" ", "").lower()


def with_expandable(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables that add expandable segments to what the allocator is told."""
    value = next((environment[name] for name in _ALLOCATOR_VARIABLES if environment.get(name)), "")
    kept = [part for part in value.split(",") if part and not part.strip().startswith("expandable_segments")]
    return dict.fromkeys(_ALLOCATOR_VARIABLES, ",".join([*kept, _EXPANDABLE]))
