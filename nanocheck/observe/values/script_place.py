"""The line of a script that something happens for."""

from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from types import FrameType

_FOREIGN = (
    *{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    str(Path(__file__).parents[2]),
)


def script_place() -> str:
    """``file:line`` of the innermost frame that is not Python's, nanocheck's or an installed package's."""
    frame: FrameType | None = sys._getframe(1)
    outermost = "unknown"
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith("<"):
            found = f"{name}:{frame.f_lineno}"
            if not name.startswith(_FOREIGN):
                return found
            if not name.startswith(_FOREIGN[-1]):
                outermost = found
        frame = frame.f_back
    return outermost
