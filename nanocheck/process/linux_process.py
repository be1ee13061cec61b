"""Small questions to the Linux kernel: signals of parents, crash dumps, the out-of-memory killer."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36
#: ``si_code`` of a signal that the kernel sent, here the terminal's driver (asm-generic/siginfo.h).
SI_KERNEL = 0x80
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Ask for a signal when the parent dies; the caller still has to check that it has not yet."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, so that somebody reaps them, init or not."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def offer_to_oom_killer() -> None:
    """Let the kernel choose this process first when the host's memory is exhausted."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")


def is_unkillable(pid: int) -> bool:
    """Whether a process is in uninterruptible sleep (state D of ``proc(5)``)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"
    except OSError:
        return False


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far; 0 where it is gone (``proc(5)``)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def no_core_dump() -> None:
    """A crash must not write gigabytes of address space to disk.

    A limit of 1 byte, not 0: it also stops dumps that go to a pipe (``core(5)`` ignores the limit
    there except for this value, see ``fs/coredump.c``).
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    soft = 1 if hard == resource.RLIM_INFINITY or hard >= 1 else 0
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))


@dataclass(frozen=True)
class OomKills:
    """Kills by the kernel's out-of-memory killer so far; ``None`` where it cannot be told.

    ``group`` counts our own control group (``memory.events``), ``host`` the whole machine
    (``/proc/vmstat``), which other tenants move too.
    """

    group: int | None
    host: int | None

    @classmethod
    def now(cls) -> OomKills:
        return cls(_group_kills(), _counter(Path("/proc/vmstat"), "oom_kill"))

    def explain_since(self, before: OomKills) -> str:
        """Who sent a SIGKILL that nanocheck did not send, as far as the counters tell."""
        if None not in (self.group, before.group) and self.group > before.group:  # type: ignore[operator]
            return "the kernel's out-of-memory killer struck in this control group: memory was exhausted"
        if None not in (self.host, before.host):
            if self.host > before.host:  # type: ignore[operator]
                return (
                    "the kernel's out-of-memory killer struck on this machine meanwhile: "
                    "the host's memory was most probably exhausted"
                )
            return "the kernel counted no out-of-memory kill meanwhile, so some other process sent it"
        return "probably the host's memory was exhausted"


def _counter(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        pass
    return None


def _group_kills() -> int | None:
    """``oom_kill`` of our control group, version 2 or 1."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            file = Path(f"/sys/fs/cgroup{path}/memory.events")
        elif controllers == "memory":
            file = Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control")
        else:
            continue
        count = _counter(file, "oom_kill")
        if count is not None:
            return count
    return None
