"""Where a command was when its time was over: what ``faulthandler`` wrote in its processes."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Sequence
from pathlib import Path

from nanocheck.process.process_tree import Process

#: A process that catches it writes its Python stacks to ``stack-<pid>.txt``; passed to the observer by
#: number in NANOCHECK_RUN_STACK_SIGNAL. Scripts use SIGUSR1 and SIGUSR2 themselves.
SIGNAL = int(signal.SIGRTMAX) - 4
#: How long writing a stack may take.
SECONDS = 0.5

_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$')
_OTHERS = re.compile(r"/(site|dist)-packages/|/lib/python\d|^<frozen |/nanocheck/observe/")
_MOST = 4


def ask(folder: Path, processes: Sequence[Process]) -> None:
    """Have every observed process write its stacks. Those that do not catch the signal would die of it."""
    for process in processes:
        if (folder / f"stack-{process.pid}.txt").exists() and _catches(process.pid):
            with contextlib.suppress(OSError):
                os.kill(process.pid, SIGNAL)


def _catches(pid: int) -> bool:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (SIGNAL - 1) & 1)
    return False


def places(folder: Path) -> list[str]:
    """A sentence for each process that left a stack: the innermost line that is the script's own."""
    found = []
    for file in sorted(folder.glob("stack-*.txt")):
        place = innermost(file.read_text(errors="replace"))
        if place is not None:
            found.append(f"when the time was over, process {file.stem.removeprefix('stack-')} was at {place}")
    return found[:_MOST]


def innermost(text: str) -> str | None:
    """``file:line in function`` of the main thread's own code, its innermost frame without any.

    ``faulthandler`` writes the main thread last, each thread innermost frame first.
    """
    frames = [match for line in text.splitlines()[_last_thread(text) :] if (match := _FRAME.match(line))]
    own = [frame for frame in frames if not _OTHERS.search(frame["file"])]
    if not frames:
        return None
    frame = (own or frames)[0]
    return f"{frame['file']}:{frame['line']} in {frame['name']}"


def _last_thread(text: str) -> int:
    heads = [index for index, line in enumerate(text.splitlines()) if "(most recent call first)" in line]
    return heads[-1] if heads else 0
