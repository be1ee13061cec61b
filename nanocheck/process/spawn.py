"""Starting somebody's command as a shell would: same streams, same signals, same inherited descriptors."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import struct
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nanocheck.core.errors import RequestError
from nanocheck.process import linux_process

_NOT_STARTED = 127


def find_program(command: Sequence[str], environment: Mapping[str, str]) -> str:
    """The file that the command's first word names, by the child's own PATH.

    Raises:
        RequestError: there is none, or it cannot be executed.
    """
    if not command or not command[0]:
        raise RequestError(
            "expected a command, found none", hint="nanocheck run --gpu rtx4070 -- python train.py"
        )
    name = command[0]
    found = shutil.which(name, path=environment.get("PATH", os.defpath))
    if found is not None:
        return found
    rest = " ".join(command)
    if Path(name).is_file():
        raise RequestError(
            f"expected a command that can be executed, found the file {name}",
            hint=f"nanocheck run -- python {rest}"
            if name.endswith(".py")
            else f"chmod +x {name}, or name the program that reads it: nanocheck run -- bash {rest}",
        )
    raise RequestError(
        f"expected a command, found no program {name!r}" + ("" if "/" in name else " on PATH"),
        hint="write after -- what you would type in the shell, such as: nanocheck run -- python train.py",
    )


def start(
    program: str, command: Sequence[str], environment: Mapping[str, str], *, own_group: bool, mask: set[int]
) -> int:
    """Fork and execute; returns when the program has replaced the child.

    Written by hand because ``subprocess`` closes the descriptors that a shell handed down (``<(...)``)
    and keeps our signal mask.

    Args:
        own_group: whether it becomes the leader of a process group of its own.
        mask: the signals that stay blocked in it.

    Raises:
        RequestError: the kernel does not execute the file.
    """
    flush_streams()
    failed_fd, report_fd = os.pipe()  # closed by a successful exec
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            linux_process.die_with_parent(signal.SIGTERM)  # should we be killed outright
            if os.getppid() == parent:
                if own_group:
                    os.setpgid(0, 0)
                _default_signals(mask)
                os.execve(program, list(command), dict(environment))
        except OSError as error:
            os.write(report_fd, struct.pack("i", error.errno or 0))
        finally:
            os._exit(_NOT_STARTED)
    os.close(report_fd)
    with os.fdopen(failed_fd, "rb") as file:
        failure = file.read()
    if failure:
        os.waitpid(pid, 0)
        number = struct.unpack("i", failure)[0]
        raise RequestError(
            f"expected a command, found {program}, which does not start: {os.strerror(number)}",
            hint="name the program that reads it: nanocheck run -- bash " + " ".join(command)
            if number == errno.ENOEXEC
            else None,
        )
    return pid


def flush_streams() -> None:
    """Before a fork: else both processes write what is buffered."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None where it was closed at our start
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


def _default_signals(mask: set[int]) -> None:
    """As this process was started itself: Python ignores SIGPIPE for itself only."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    for number in signal.valid_signals():
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
