"""Ranks of a distributed run that are left out: their processes start, wait for the others, and end well.

The launcher (``torchrun``) starts every rank, since the environment of all of them comes from it.
A rank that is not to run holds no memory: it waits here, before its script's first line.
"""

from __future__ import annotations

import fcntl
import os
import time

#: ``all``, or the numbers of the ranks that run, by commas.
VARIABLE = "NANOCHECK_RUN_RANKS"
_PAUSE_S = 0.2


def stay_away(folder: str) -> None:
    """Returns in a rank that runs, and where there are no ranks; ends the process of any other.

    Args:
        folder: the observer's: a rank that runs holds a lock on a file there as long as it lives.
    """
    chosen, rank = os.environ.get(VARIABLE, "all"), os.environ.get("RANK", "")
    if chosen == "all" or not rank.isdecimal():
        return
    ranks = {int(each) for each in chosen.split(",")}
    if int(rank) in ranks:
        # Its children have it, too: the rank has ended when all have.
        handle = os.open(_lock(folder, int(rank)), os.O_CREAT | os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_SH)
        os.set_inheritable(handle, True)
        return
    here = {each for each in ranks if each < int(os.environ.get("WORLD_SIZE", "1"))}
    while not all(_ended(_lock(folder, each)) for each in here):
        time.sleep(_PAUSE_S)
    os._exit(0)


def _lock(folder: str, rank: int) -> str:
    return os.path.join(folder, f"rank-{rank}")  # noqa: PTH118 - before the script's first import


def _ended(path: str) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False  # it has not begun
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True
