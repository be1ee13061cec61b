"""Two processes of ours around a command: whichever of them is killed outright, the other ends the command.

``kill -9`` cannot be caught, and what a dead process had started goes on: the kernel tells its children at
most, not their children. So the process that people see, the one in front, forks a second one, which does the
work and is the parent of the command. Each adopts the orphans of those below it (``PR_SET_CHILD_SUBREAPER``).

- The one in front dies: the kernel sends the worker ``ABANDONED``; it still has every process of the command.
- The worker dies: all its descendants become children of the one in front.
"""

from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from nanocheck.process import linux_process
from nanocheck.process.spawn import flush_streams

T = TypeVar("T")

#: What the worker gets when the process in front dies; next to ``stack_dump.SIGNAL``.
ABANDONED = int(signal.SIGRTMAX) - 5


def in_a_worker(work: Callable[[], T], asking: Iterable[int], left: Callable[[], T]) -> T:
    """What ``work`` gives, done in a process of its own. This one waits, and passes on what it is asked.

    The caller has one thread and no children, and has blocked SIGCHLD, ``ABANDONED`` and those of ``asking``.

    Args:
        asking: signals that are passed on to the worker, unless the terminal has sent them to both already.
        left: called where the worker was killed: its descendants are children of this process now.

    Raises:
        Exception: what ``work`` raises.
    """
    linux_process.adopt_orphans()
    flush_streams()
    answer = os.memfd_create("nanocheck-answer", os.MFD_CLOEXEC)
    try:
        front = os.getpid()
        worker = os.fork()
        if worker == 0:
            _work(work, front, answer)
        _wait(worker, set(asking))
        os.lseek(answer, 0, os.SEEK_SET)
        with os.fdopen(os.dup(answer), "rb") as file:
            said = file.read()
    finally:
        os.close(answer)
    if not said:
        return left()
    is_error, value = pickle.loads(said)  # written by our own fork, into memory that only we share
    if is_error:
        raise value
    return value  # type: ignore[no-any-return]


def _work(work: Callable[[], Any], front: int, answer: int) -> None:
    """Everything the worker does; it never returns."""
    try:
        linux_process.die_with_parent(ABANDONED)
        if os.getppid() != front:  # it died before the line above: nothing is started yet
            signal.raise_signal(ABANDONED)
        try:
            said = False, work()
        except Exception as error:
            error.add_note(traceback.format_exc())
            said = True, error
        rest = memoryview(pickle.dumps(said))
        while rest:
            rest = rest[os.write(answer, rest) :]
    finally:
        # Nothing of what the process in front does at its end is done twice.
        os._exit(0)


def _wait(worker: int, asking: set[int]) -> None:
    """Until the worker has ended."""
    while os.waitpid(worker, os.WNOHANG)[0] == 0:
        received = signal.sigwaitinfo({*asking, signal.SIGCHLD})
        if received.si_signo != signal.SIGCHLD and received.si_code != linux_process.SI_KERNEL:
            os.kill(worker, received.si_signo)
