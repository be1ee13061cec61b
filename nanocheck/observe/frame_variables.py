"""The variables of a running function, read without keeping them alive."""

from __future__ import annotations

import inspect
import sys
from types import FrameType
from typing import Any


def variables(frame: FrameType) -> list[tuple[str, Any]]:
    """Names and values.

    Until Python 3.13 (PEP 667) a frame keeps what ``f_locals`` of a function gave out: a tensor that the
    function lets go of would live on until it returns. So it is emptied, unless the script holds it, too
    (``locals()``). The namespace of a module is no copy and stays as it is.
    """
    given = frame.f_locals
    found = list(given.items())
    is_copy = sys.version_info < (3, 13) and bool(frame.f_code.co_flags & inspect.CO_OPTIMIZED)
    if is_copy and sys.getrefcount(given) == 3:  # the frame's, the one here, and the argument
        given.clear()
    return found
