"""How much memory the host has left, and what a process has of it alone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

#: The most that a run may have of the host, bytes, where that is less than what is left of it.
MOST = "NANOCHECK_HOST_MEMORY_BYTES"
_GROUPS = "/sys/fs/cgroup"


def available_bytes(running: Iterable[int] = ()) -> int:
    """What can be had without swapping: of the host, of our control groups, of ``MOST``; the least of them.

    Args:
        running: the processes of this run, whose memory counts against ``MOST``.
    """
    found = [_field("/proc/meminfo", "MemAvailable"), *_left_of_groups()]
    most = os.environ.get(MOST, "")
    if most.isdecimal():
        found.append(int(most) - sum(own_bytes(each) for each in running))
    return max(0, min((each for each in found if each is not None), default=0))


def total_bytes() -> int:
    """What there would be if nothing ran."""
    found = [_field("/proc/meminfo", "MemTotal"), *(limit for limit, _ in _groups())]
    most = os.environ.get(MOST, "")
    return min((each for each in [*found, int(most) if most.isdecimal() else None] if each), default=0)


def own_bytes(pid: int | str = "self") -> int:
    """What a process would give back at its end: pages of its own, not those of files; 0: it is gone."""
    return _field(f"/proc/{pid}/status", "RssAnon") or 0


def _left_of_groups() -> Iterator[int]:
    for limit, used in _groups():
        yield limit - used


def _groups() -> Iterator[tuple[int, int]]:
    """Limit and use of each control group that holds us and has a limit; versions 2 and 1 of cgroups(7).

    Pages of files go before any process does when memory is short, and are not counted as used: a container
    that has read PyTorch's libraries a few times is otherwise full of them.
    """
    for folder, limit, used, of_files in _group_folders():
        try:
            with open(f"{folder}/{limit}") as file:  # noqa: PTH123 - in every process of a run
                most = int(file.read())
            with open(f"{folder}/{used}") as file:  # noqa: PTH123
                now = int(file.read())
        except (OSError, ValueError):  # the other version, or "max"
            continue
        yield most, now - sum(_plain(f"{folder}/memory.stat", each) or 0 for each in of_files)


def _group_folders() -> Iterator[tuple[str, str, str, tuple[str, str]]]:
    second = ("memory.max", "memory.current", ("inactive_file", "active_file"))
    first = ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file"))
    try:
        with open("/proc/self/cgroup") as file:  # noqa: PTH123
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, names = (f"{_GROUPS}/memory", first) if controllers else (_GROUPS, second)
        while True:  # this group and those around it; in a container the path may be one of outside
            yield (f"{root}{path}".rstrip("/"), *names)
            if path in ("", "/"):
                break
            path = path.rpartition("/")[0]


def _field(path: str, name: str) -> int | None:
    """Of a file of proc(5) with lines such as ``MemAvailable:  123 kB``, bytes."""
    found = _plain(path, f"{name}:")
    return None if found is None else found * 1024


def _plain(path: str, name: str) -> int | None:
    try:
        with open(path) as file:  # noqa: PTH123
            for line in file:
                words = line.split()
                if len(words) > 1 and words[0] == name:
                    return int(words[1])
    except (OSError, ValueError):
        pass
    return None
