"""Time limits that end a script where it waits, however slow the machine is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
#: Seconds; an idle machine needs the first, the others wait for a start on a busy one.
_LIMITS = (8, 40, 200)


def ended_where_it_waits(run: Callable[[str], T], there: Path) -> T:
    """What ``run`` gives with the first of longer and longer time limits that was over when it waited.

    Args:
        run: takes a time limit as ``--time-limit`` does.
        there: a file that the script leaves where it begins to wait, for ever.
    """
    for seconds in _LIMITS:
        ended = run(f"{seconds}s")
        if there.exists():
            return ended
    raise AssertionError(f"expected {there.name} within {_LIMITS[-1]} s")
