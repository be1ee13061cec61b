"""Standard streams that are closed, full, or read by nobody."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import TextIO

from nanocheck.core.errors import MachineError
from nanocheck.core.full_disk import FULL


def open_closed() -> None:
    """What was closed at our start (``>&-``) reads and writes nothing instead.

    Else the next file that is opened, such as a report, gets the number of a standard stream, and a command
    that we start writes into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest number that is free, and those below it are open by now.
            opened = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(opened, True)
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


@contextlib.contextmanager
def told_when_full() -> Iterator[None]:
    """
    Raises:
        MachineError: standard output is a file, and its disk is full.
    """
    try:
        yield
    except OSError as error:
        # An error that names no file is one of a stream.
        if error.filename is not None or error.errno not in (*FULL, errno.EIO):
            raise
        give_up(sys.stdout)
        raise MachineError(
            f"expected to write to standard output, found: {error.strerror}",
            hint="free some space where it goes, or send it elsewhere",
        ) from error


def give_up(stream: TextIO) -> None:
    """What is still to be written goes nowhere: Python must not complain when it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
