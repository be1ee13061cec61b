"""The line of a script that something happens for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from nanocheck.observe.library_frames import own_frame, short_name
from nanocheck.observe.phase_hooks import LIBRARIES

_FOREIGN = (str(Path(__file__).parents[2]), *LIBRARIES)


def script_place() -> str:
    """``file:line`` of the innermost frame that is the script's own, or a model's that it uses: see
    ``own_frame``. Without any, the outermost that is not nanocheck's.
    """
    frames = list(_outwards(sys._getframe(1)))
    found = own_frame(frames, _FOREIGN)
    if found is None:
        others = (each for each in reversed(frames) if not each[0].startswith((_FOREIGN[0], "<")))
        found = next(others, None)
    return "unknown" if found is None else f"{short_name(found[0])}:{found[1]}"


def _outwards(frame: FrameType | None) -> Iterator[tuple[str, int, str]]:
    while frame is not None:
        yield frame.f_code.co_filename, frame.f_lineno or 0, frame.f_code.co_name
        frame = frame.f_back
