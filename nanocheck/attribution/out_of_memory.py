"""What was asked for when the memory ran out, by which line, and what was alive.

One description for both pipelines: of a command's process, from its event log, and of a configuration's step,
from the exception.
"""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.attribution.held_stacks import HeldStacks
from nanocheck.attribution.journal_entries import Frame, Request
from nanocheck.attribution.places import Place, Places
from nanocheck.attribution.process_figures import Figures
from nanocheck.core.result import OutOfMemory, Variable
from nanocheck.core.stacks import StackHolding


def oom_of_process(figures: Figures) -> OutOfMemory | None:
    """The one that ended the process, else the last one it caught; ``None`` without any."""
    seen = figures.seen
    if not seen.ooms:
        return None
    request = seen.ooms[-1]
    event = next((at for at in reversed(range(len(seen.events))) if seen.events[at][0] == "o"), None)
    if request.by:
        event = None  # the allocator's history knows nothing of it
    band = figures.band_at(event) if event is not None else (figures.bands[-1] if figures.bands else None)
    level = event if event is not None else len(seen.events) - 1
    allocated = figures.replay.levels[level][0] if seen.events else 0
    place = _place(figures, event, request)
    size = (None if request.by else place.bytes_of_shape) or request.requested
    caught = figures.recovered is not None
    return OutOfMemory(
        phase=band.phase if band else "build",
        step=band.step if band else 0,
        requested_bytes=size,
        exact=place.bytes_of_shape is not None or bool(request.by),
        shape=None if request.by else place.shape,
        by=request.by,
        where=place.where,
        line=place.line,
        message="" if seen.failed is None else _first_line(seen.failed.error),
        free_bytes=request.free,
        limit_bytes=request.limit,
        caught=caught,
        recovery=None if figures.recovered is None else figures.recovered.how,
        count=len(seen.ooms),
        tensors=tuple(
            Variable(name=name, shape=shape, dtype=dtype) for name, shape, dtype in request.tensors
        ),
        groups=figures.table(level, allocated) if seen.events else (),
        alive=figures.largest(level) if seen.events else (),
        stacks=() if caught or event is None else _stacks(figures, event, size, place),
    )


def _stacks(figures: Figures, event: int, size: int, place: Place) -> tuple[StackHolding, ...]:
    """What lived and what was asked for."""
    held = HeldStacks(figures)
    where = figures.seen.ooms[-1].where
    return (*held.at(event), held.request(event, size, place.shape, where))


def oom_of_step(
    frames: Sequence[Frame],
    places: Places,
    *,
    segment_bytes: int,
    phase: str,
    step: int,
    message: str,
    by: str = "",
) -> OutOfMemory:
    """Of an exception that left a step.

    Args:
        frames: of its traceback, innermost first.
        segment_bytes: what the allocator asked the driver for, rounded up; it stands where the code does not
            say the tensor's own size, or a library asked.
        phase, step: where the step says it was.
        by: the library that asked, where it was not the allocator.
    """
    place = places.of_frames(frames)
    return OutOfMemory(
        phase=phase,
        step=step,
        requested_bytes=(None if by else place.bytes_of_shape) or segment_bytes,
        exact=place.bytes_of_shape is not None or bool(by),
        shape=None if by else place.shape,
        by=by,
        where=place.where if place.in_source else None,
        line=place.line,
        message=_first_line(message),
    )


def _place(figures: Figures, event: int | None, request: Request) -> Place:
    """By the stack of the failed request; where its thread had none, by the script's own line."""
    if event is not None:
        place = figures.places.of_stack(figures.seen.events[event][3])
        if place.where is not None:
            return place
    return figures.places.of_frame(request.where)


def _first_line(message: object) -> str:
    return str(message).split("\n")[0]
