"""Every process that descends from this one, found in ``/proc``, and signals to them."""

from __future__ import annotations

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_ENDED = ("Z", "X")  # states of proc(5): zombie, dead


@dataclass(frozen=True)
class Process:
    """A line of ``/proc/<pid>/stat``."""

    pid: int
    parent: int
    group: int
    state: str


def descendants(of: int | None = None) -> list[Process]:
    """Living descendants of this process, parents before children.

    After ``linux_process.adopt_orphans`` these are all that ever came from it: a daemon's chain of parents
    ends here too, whatever session or process group it moved to.

    Args:
        of: another process.
    """
    children: dict[int, list[Process]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            process = _read(int(entry.name))
            if process is not None:
                children.setdefault(process.parent, []).append(process)
    found, waiting = [], [os.getpid() if of is None else of]
    while waiting:
        for process in children.get(waiting.pop(), []):
            waiting.append(process.pid)
            if process.state not in _ENDED:
                found.append(process)
    return found


def _read(pid: int) -> Process | None:
    try:
        # The name in parentheses may hold anything, closing parentheses and newlines included.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:  # it ended meanwhile
        return None
    return Process(pid, int(fields[1]), int(fields[2]), fields[0].decode())


def send(number: int, processes: list[Process]) -> None:
    """Signal processes; a stopped one is continued, or it would never see the signal."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
            if number != signal.SIGKILL:
                os.kill(process.pid, signal.SIGCONT)


def reap() -> tuple[dict[int, int], bool]:
    """Wait for every child that has ended, adopted ones included.

    Returns:
        pid -> status as ``os.waitpid`` has it, and whether any child is left. The latter is the kernel's
        own word: a look at ``/proc`` can miss a process that forks and leaves faster than it is read, but
        the eldest living descendant of a subreaper is always its child.
    """
    ended: dict[int, int] = {}
    try:
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return ended, True
            ended[pid] = status
    except ChildProcessError:
        return ended, False


def kill_children() -> None:
    """SIGKILL to every direct child, as fast as can be: for those that fork faster than /proc is read."""
    pid = os.getpid()
    try:
        children = Path(f"/proc/self/task/{pid}/children").read_text().split()
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        children = [str(each.pid) for each in descendants()]
    for child in children:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(int(child), signal.SIGKILL)
