"""Ends an observed process when no process of nanocheck is left, both of them killed at once included.

``kill -9`` of one of them is seen by the other (``process/standby.py``). When nobody is left to see anything,
the kernel does: nanocheck holds a named pipe in the folder of its run open, and whoever reads it with
``O_ASYNC`` is sent a signal when the last writer is gone. It costs a file descriptor, and no thread.
"""

from __future__ import annotations

import os
import signal

#: The pipe's name in the folder of a run, as ``process/launch.py`` makes it.
PIPE = "alive"
_F_SETSIG = 10  # fcntl.h of Linux; the module ``fcntl`` has it from Python 3.12 on at the latest


def end_when_abandoned(folder: str) -> None:
    """From now on, and in forks of this process; without a pipe nothing is done."""
    _listen(folder)
    os.register_at_fork(after_in_child=lambda: _listen(folder))


def _listen(folder: str) -> None:
    import fcntl

    try:
        pipe = os.open(os.path.join(folder, PIPE), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # noqa: PTH118
    except OSError:
        return
    try:
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, _F_SETSIG, _signal())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
        is_abandoned = not os.read(pipe, 1)
    except BlockingIOError:  # somebody holds it open, and writes nothing
        is_abandoned = False
    except OSError:
        os.close(pipe)
        return
    if is_abandoned:
        os.kill(os.getpid(), _signal())


def _signal() -> int:
    """SIGTERM, which a script may catch to tidy up; where a shell made it be ignored, what none can."""
    is_ignored = signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    return int(signal.SIGKILL if is_ignored else signal.SIGTERM)
