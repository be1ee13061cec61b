"""What was asked for when the memory ran out, by which line, and what was alive."""

from __future__ import annotations

from typing import Any

from nanocheck.attribution.places import Place
from nanocheck.attribution.process_figures import Figures


def describe_oom(figures: Figures) -> dict[str, Any] | None:
    """The one that ended the process, else the last one it caught; ``None`` without any."""
    seen = figures.seen
    if not seen.ooms:
        return None
    request = seen.ooms[-1]
    event = next((at for at in reversed(range(len(seen.events))) if seen.events[at][0] == "o"), None)
    band = figures.band_at(event) if event is not None else (figures.bands[-1] if figures.bands else None)
    place = _place(figures, event, request)
    # The allocator tells the segment it asked the driver for, rounded up; generated code tells the tensor.
    exact = place.bytes_of_shape
    caught = seen.failed is None or not seen.failed.get("oom")
    level = event if event is not None else len(seen.events) - 1
    allocated = figures.replay.levels[level][0] if seen.events else 0
    return {
        "requested_bytes": exact or request["requested"],
        "exact": exact is not None,
        "phase": band.phase if band else "build",
        "step": band.step if band else 0,
        "where": place.where,
        "line": place.line,
        "shape": list(place.shape) if place.shape else None,
        "message": "" if seen.failed is None else str(seen.failed["error"]).split("\n")[0],
        "caught": caught,
        "count": len(seen.ooms),
        "free_bytes": request["free"],
        "tensors": [
            {"name": name, "shape": shape, "dtype": dtype}
            for name, shape, dtype in request.get("tensors", ())
        ],
        "groups": figures.table(level, allocated) if seen.events else [],
        "alive": figures.largest(level) if seen.events else [],
    }


def _place(figures: Figures, event: int | None, request: dict[str, Any]) -> Place:
    """By the stack of the failed request; where its thread had none, by the script's own line."""
    if event is not None:
        place = figures.places.of_stack(figures.seen.events[event][3])
        if place.where is not None:
            return place
    where = request.get("where")
    return figures.places.of_frame(tuple(where) if where else None)
