"""Time limits that end a script where it waits, however slow the machine is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def ended_where_it_waits(run: Callable[[int], T], there: Path, seconds: int) -> T:
    """What ``run`` gives with the first of longer and longer time limits that was over when it waited.

    Args:
        run: takes a time limit in seconds.
        there: a file that the script leaves where it begins to wait, for ever.
        seconds: the first limit; an idle machine needs no more.
    """
    for limit in (seconds, 5 * seconds, 25 * seconds):
        ended = run(limit)
        if there.exists():
            return ended
    raise AssertionError(f"expected {there.name} within {limit} s")
