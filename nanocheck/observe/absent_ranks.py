"""Ranks of a distributed run that are left out: their processes start, wait for the others, and end well.

The launcher (``torchrun``) starts every rank, since the environment of all of them comes from it.
A rank that is not to run waits: before its script's first line where the launcher's environment says which
rank it is, else where the script says so itself (``torch.distributed.init_process_group``).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
import time
from typing import NoReturn

#: ``ALL``, ``ENDS``, or the numbers of the ranks that run, by commas, ``LAST`` among them. In a process that
#: knows its rank only ``ALL`` or numbers are left.
VARIABLE = "NANOCHECK_RUN_RANKS"
ALL = "all"
#: The first and the last of more than two, else all.
ENDS = "ends"
LAST = "last"
#: The file of a run's folder that says which rank was asked for and is not there.
REFUSED = "refused-ranks"
#: This process's id, its rank, and of how many, for the virtual card's NCCL: not every launcher sets
#: ``RANK``, and some scripts take it for the number of a node.
PLACE = "NANOCHECK_PLACE"
_FOLDER = "NANOCHECK_RUN"
_PAUSE_S = 0.2
#: More than there are ranks, in whatever worlds a process is one.
_ANY_NUMBER = "1000000"

_settled: tuple[int, int] | None = None


def stay_away(folder: str) -> None:
    """Returns in a rank that runs, and where there are no ranks; ends the process of any other.

    Args:
        folder: the observer's: a rank that runs holds a lock on a file there as long as it lives.
    """
    rank, world = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if rank.isdecimal() and world.isdecimal():
        settle(int(rank), int(world), folder)


def settle(rank: int, world: int, folder: str | None = None) -> None:
    """As ``stay_away``, for a process that has learned its rank; once a process."""
    global _settled
    folder = folder or os.environ.get(_FOLDER)
    if folder is None or _settled == (rank, world) or not 0 <= rank < world:
        return
    _settled = (rank, world)
    os.environ[PLACE] = f"{os.getpid()} {rank} {world}"
    if world < 2:
        return  # what was asked for is of the world that its children may be
    try:
        ranks = chosen(os.environ.get(VARIABLE, ALL), world)
    except LookupError as error:
        _refuse(folder, str(error.args[0]))
    # The virtual card's NCCL reads it, too.
    os.environ[VARIABLE] = ALL if ranks is None else ",".join(map(str, sorted(ranks)))
    if ranks is None:
        os.close(_come(folder, rank))
        return
    if rank in ranks:
        # From 129 ranks on PyTorch has several roots make a communicator, and would wait for those left out.
        os.environ.setdefault("TORCH_NCCL_RANKS_PER_ROOT", _ANY_NUMBER)
        # Its children have it, too: the rank has ended when all have.
        os.set_inheritable(_come(folder, rank), True)
        return
    _forget(folder)
    while not all(_ended(_lock(folder, each)) for each in ranks):
        time.sleep(_PAUSE_S)
    os._exit(0)


def settled() -> tuple[int, int] | None:
    """This process's rank and the size of the world, as it was last told."""
    return _settled


def present() -> frozenset[int] | None:
    """The ranks that run, of a process that knows its own; None: all do, or there are none."""
    return None if _settled is None else chosen(os.environ.get(VARIABLE, ALL), _settled[1])


def chosen(text: str, world: int) -> frozenset[int] | None:
    """Which ranks of so many run; None: all.

    Raises:
        LookupError: one is not there.
    """
    if text == ALL or world < 2:
        return None
    if text == ENDS:
        return None if world == 2 else frozenset({0, world - 1})
    ranks = frozenset(world - 1 if each == LAST else int(each) for each in text.split(","))
    if max(ranks) >= world:
        raise LookupError(
            f"--ranks: expected ranks of this run's {world}, 0 to {world - 1}, found {max(ranks)}"
        )
    return None if len(ranks) == world else ranks


def begun(folder: str) -> dict[int, int]:
    """The ranks of a run that run, or did, and the process of each."""
    found = {}
    with contextlib.suppress(OSError):  # somebody removes the folder
        for name in os.listdir(folder):  # noqa: PTH208
            kind, _, rank = name.partition("-")
            if kind == "rank" and rank.isdecimal():
                with open(os.path.join(folder, name), encoding="utf-8") as file:  # noqa: PTH118, PTH123
                    pid = file.read()
                if pid.strip().isdecimal():  # else it is about to write it
                    found[int(rank)] = int(pid)
    return found


def _come(folder: str, rank: int) -> int:
    """Say that this rank runs, with its process, for as long as the file is open that is given back."""
    handle = os.open(_lock(folder, rank), os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(handle, fcntl.LOCK_SH)
    os.pwrite(handle, f"{os.getpid():<20}".encode(), 0)
    return handle


def _refuse(folder: str, why: str) -> NoReturn:
    temporary = os.path.join(folder, f"{REFUSED}.{os.getpid()}")  # noqa: PTH118 - before the first import
    with contextlib.suppress(OSError):
        with open(temporary, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(why)
        os.replace(temporary, os.path.join(folder, REFUSED))  # noqa: PTH105, PTH118
    sys.stderr.write(f"nanocheck: {why}\n")
    sys.stderr.flush()
    os._exit(2)


def _forget(folder: str) -> None:
    """What this process told before it knew that it is left out: it may have chosen its card by then."""
    own = str(os.getpid())
    for name in os.listdir(folder):  # noqa: PTH208
        if name in (f"used-{own}", f"torch-{own}") or (
            name.startswith(f"{own}-") and name.endswith(".jsonl")
        ):
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, name))  # noqa: PTH108, PTH118


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
