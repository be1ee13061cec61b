"""Run a command to its end, whatever it does, and leave nothing of it running: not even when we are killed.

Where there is a terminal the command stays in our process group, so that reading, Ctrl-C and Ctrl-Z work
as if it ran alone; then a Ctrl-C has reached it already when it reaches us. Elsewhere it gets a group of
its own and we pass signals on.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from nanocheck.core.messages import say
from nanocheck.process import linux_process, process_tree, stack_dump, standby
from nanocheck.process.activity import Activity
from nanocheck.process.spawn import find_program, start
from nanocheck.process.terminal_control import Terminal

#: How a command ended; ``Ended.how``.
HOW = ("finished", "answered", "failed", "killed", "timeout", "interrupted")
#: What ``timeout(1)`` gives.
EXIT_TIMEOUT = 124

#: In the command's folder, open as long as one of us lives; observed processes end when it closes
#: (``observe/abandonment.py``).
PIPE = "alive"

_TICK = 0.2  # seconds between two looks at the folder
_ASLEEP = 2.0  # a tick that took so much longer: we were stopped (Ctrl-Z), and so was the command
_PAUSE = 3.0  # seconds between SIGTERM, SIGKILL and giving up
#: Seconds from the SIGINT of the time limit on: on a busy machine it takes some to write down what was held.
_LAST_WORDS = 10.0
_TO_FORWARD = 1.0  # seconds a group-wide signal has to end the command before it is passed on
_ORPHANS = 1.0  # seconds that processes may outlive the command
_ECHO = 1.0  # seconds within which one signal to the group reaches us twice


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        how: one of ``HOW``. ``answered``: a process said that its answer is known; ``killed``: by a
            signal that is not ours.
        exit_code: as a shell says it: 128 + n for signal n, 124 for the time limit. After
            ``answered`` it may be that of our own signal.
        seconds: wall time of the command.
        notes: what else was seen, a sentence each.
        cut_off: processes that ran on when another had its answer or the command was over, and were ended by
            force.
        refused: what ``why_end`` said; the command was killed for it.
    """

    how: str
    exit_code: int
    seconds: float
    notes: tuple[str, ...] = ()
    cut_off: tuple[int, ...] = ()
    refused: str = ""


@dataclass(frozen=True)
class _Stage:
    """Something done to end the command, and for how many seconds its effect is waited for."""

    act: Callable[[], None]
    seconds: float


def launch(
    command: Sequence[str],
    environment: dict[str, str],
    folder: Path,
    time_limit_s: float | None,
    grace_s: float = 20,
    abandoned: Callable[[], None] = lambda: None,
    why_end: Callable[[], str] = str,
) -> Ended:
    """Run a command with our own stdin, stdout and stderr.

    The calling process must have one thread and no children: it adopts, reaps and kills all it has. A worker
    of it (see ``standby``) is the command's parent.

    Args:
        environment: the command's, whole.
        folder: a file ``answered-*`` in it starts the grace; ``stack-*.txt`` tell where it hung.
        time_limit_s: seconds until it is interrupted, terminated, killed; None: never.
        grace_s: seconds to end by itself, after the answer or after Ctrl-C.
        abandoned: called when this process was killed, once nothing of the command is left; in the worker.
        why_end: asked a few times a second; the command is killed as soon as it has something to say.

    Raises:
        RequestError: there is no such command.
    """
    program = find_program(command, environment)
    # What was ignored at our start (nohup) is ignored by the command, too.
    asking = {
        int(number)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
        if signal.getsignal(number) != signal.SIG_IGN
    }
    with _pipe_held(folder), _blocked({*asking, signal.SIGCHLD, standby.ABANDONED}) as mask:
        running = _Launch(folder, time_limit_s, grace_s, asking, abandoned, why_end)
        ended = standby.in_a_worker(
            lambda: running.run(program, command, environment, mask), asking, running.end_what_is_left
        )
        return _hear_the_last(ended, asking)


@contextmanager
def _pipe_held(folder: Path) -> Iterator[None]:
    """By us and our worker, not by the command: whoever waits for its end hears of ours, however it comes."""
    pipe = -1
    with suppress(OSError):  # a file system without named pipes
        os.mkfifo(folder / PIPE)
        pipe = os.open(folder / PIPE, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield
    finally:
        if pipe >= 0:
            os.close(pipe)


@contextmanager
def _blocked(numbers: set[int]) -> Iterator[set[int]]:
    """These signals wait until somebody asks for them; gives the mask of before."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish unreaped
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield {int(number) for number in mask}
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _hear_the_last(ended: Ended, asking: set[int]) -> Ended:
    """What we were asked while the worker ended, and could no longer pass on."""
    while (received := signal.sigtimedwait(asking, 0)) is not None:
        if ended.how in ("finished", "failed", "killed"):
            ended = replace(ended, how="interrupted", exit_code=128 + received.si_signo)
    return ended


class _Launch:
    def __init__(
        self,
        folder: Path,
        time_limit_s: float | None,
        grace_s: float,
        asking: set[int],
        abandoned: Callable[[], None],
        why_end: Callable[[], str],
    ) -> None:
        self._why_end = why_end
        self._refused = ""
        self._folder = folder
        self._grace_s = grace_s
        self._limit_s = time_limit_s
        self._asking = asking
        self._abandoned = abandoned
        self._front = os.getpid()
        self._terminal = Terminal()
        self._pid = self._group = -1
        self._limit_at = float("inf") if time_limit_s is None else time.monotonic() + time_limit_s
        self._plan: list[_Stage] = []
        self._next_at = float("inf")
        self._status: int | None = None
        self._any_left = True
        self._cause: str | None = None  # answered, timeout, interrupted, refused, abandoned: why we end it
        self._signal = 0
        self._heard = (0, False, 0.0)  # the last signal that asked, whether it was passed on to us, and when
        self._we_killed = False
        self._cut_off: set[int] = set()
        self._activity = Activity(folder)
        self._notes: list[str] = []

    def run(self, program: str, command: Sequence[str], environment: dict[str, str], mask: set[int]) -> Ended:
        """In the worker: the command, from its start to the end of all that it left."""
        began, kills = time.monotonic(), linux_process.OomKills.now()
        linux_process.adopt_orphans()
        with ExitStack() as stack:
            stack.callback(lambda: self._abandoned() if os.getppid() != self._front else None)
            self._leave_the_terminal(stack)
            # An exception of our own, too, must leave nothing running.
            stack.callback(self._end_the_rest)
            self._pid = start(program, command, environment, own_group=not self._terminal.is_there, mask=mask)
            self._group = os.getpgid(self._pid)
            self._wait(lambda: self._status is not None)
            seconds = time.monotonic() - began
            # A Ctrl-C that ended the command at once is still on its way to us.
            while (received := signal.sigtimedwait(self._asking, 0)) is not None:
                if self._cause is None:
                    self._cause, self._signal = "interrupted", received.si_signo
        how, code = self._how()
        if code == 128 + signal.SIGKILL and how == "killed":
            self._notes.append(f"the command was killed: {linux_process.OomKills.now().explain_since(kills)}")
        return Ended(how, code, seconds, tuple(self._notes), tuple(sorted(self._cut_off)), self._refused)

    def end_what_is_left(self) -> Ended:
        """In the process in front, where the worker was killed."""
        with ExitStack() as stack:
            self._leave_the_terminal(stack)
            self._end_the_rest()
        note = "the process of nanocheck that watched the command was killed, and the command with it"
        return Ended("killed", 128 + signal.SIGKILL, 0.0, (*self._notes, note))

    def _leave_the_terminal(self, stack: ExitStack) -> None:
        stack.callback(self._terminal.close)
        stack.callback(lambda: self._terminal.restore() if self._we_killed else None)

    def _how(self) -> tuple[str, int]:
        if self._status is None:  # it outlived SIGKILL
            self._status = int(signal.SIGKILL)
        code = os.waitstatus_to_exitcode(self._status)
        code = 128 - code if code < 0 else code
        if self._cause == "answered" or self._is_answered():
            return "answered", code
        if self._cause == "timeout":
            return "timeout", EXIT_TIMEOUT
        if self._cause == "interrupted":
            return "interrupted", 128 + self._signal
        if os.WIFSIGNALED(self._status):
            return "killed", code
        return ("failed" if code else "finished"), code

    # -- the loop -----------------------------------------------------------------------------------

    def _wait(self, over: Callable[[], bool]) -> None:
        """Serve signals, the marker and the deadlines until it is over, or the plan has no more stages."""
        while True:
            self._reap()
            if over():
                return
            before = time.monotonic()
            patience = max(0.0, min(_TICK, self._next_at - before, self._limit_at - before))
            received = signal.sigtimedwait({*self._asking, signal.SIGCHLD, standby.ABANDONED}, patience)
            now = time.monotonic()
            if now - before > patience + _ASLEEP:
                self._limit_at += now - before - patience
                self._next_at += now - before - patience
            if received is not None and received.si_signo in self._asking:
                self._asked_to_stop(received)  # first: it may be why the command has ended just now
            elif received is not None and received.si_signo == standby.ABANDONED:
                say("nanocheck was killed; ending what it ran")
                self._begin("abandoned", self._by_force())
            self._reap()
            if over():
                return
            if self._cause is None and self._is_answered() and not self._activity.others_work():
                self._begin("answered", [_Stage(lambda: None, self._grace_s), *self._by_force()])
            elif self._cause is None and now >= self._limit_at:
                self._time_is_over()
            elif self._cause is None and (why := self._why_end()):
                self._refused = why
                self._begin("refused", self._by_force()[1:])  # whatever asks for memory while it ends
            elif now >= self._next_at and not self._advance():
                return

    def _reap(self) -> None:
        ended, self._any_left = process_tree.reap()
        self._status = ended.get(self._pid, self._status)

    def _is_answered(self) -> bool:
        return any(self._folder.glob("answered-*"))

    def _begin(self, cause: str, plan: list[_Stage]) -> None:
        self._cause, self._plan, self._limit_at = cause, plan, float("inf")
        self._advance()

    def _advance(self) -> bool:
        """The next stage; False when there is none, and whatever still runs cannot be ended."""
        if not self._plan:
            return False
        stage = self._plan.pop(0)
        stage.act()
        self._next_at = time.monotonic() + stage.seconds
        return True

    # -- reasons to end it --------------------------------------------------------------------------

    def _asked_to_stop(self, received: signal.struct_siginfo) -> None:
        """Ctrl-C and its like; the second one loses patience."""
        if self._is_an_echo(received):
            return
        if self._cause is not None:
            self._advance()
            return
        self._signal = received.si_signo
        have_it = _Stage(self._mention_patience, self._grace_s)
        forward = _Stage(lambda: self._forward(received.si_signo), self._grace_s)
        if received.si_code == linux_process.SI_KERNEL:
            plan = [_Stage(lambda: None, _TO_FORWARD), have_it]
        elif self._terminal.is_there:
            # `kill %1` reached the whole group, `kill <our pid>` us alone, and nobody can tell which.
            plan = [_Stage(lambda: None, _TO_FORWARD), forward]
        else:
            plan = [forward]
        self._begin("interrupted", [*plan, *self._by_force()])

    def _is_an_echo(self, received: signal.struct_siginfo) -> bool:
        """What was sent to the whole group reaches us twice: by itself, and from the process in front."""
        passed_on = received.si_pid == self._front
        number, other, at = self._heard
        if number == received.si_signo and other != passed_on and time.monotonic() - at < _ECHO:
            self._heard = (0, False, 0.0)
            return True
        self._heard = (received.si_signo, passed_on, time.monotonic())
        return False

    def _time_is_over(self) -> None:
        def interrupt() -> None:
            self._notes += stack_dump.places(self._folder)
            self._to_group(signal.SIGINT)

        say(f"the time limit of {self._limit_s:g} s is over")
        ask = _Stage(lambda: stack_dump.ask(self._folder, process_tree.descendants()), stack_dump.SECONDS)
        self._begin("timeout", [ask, _Stage(interrupt, _LAST_WORDS), *self._by_force()])

    def _by_force(self) -> list[_Stage]:
        return [
            _Stage(lambda: self._end_all(signal.SIGTERM), _PAUSE),
            _Stage(lambda: self._end_all(signal.SIGKILL), _PAUSE),
        ]

    # -- signals ------------------------------------------------------------------------------------

    def _mention_patience(self) -> None:
        say(f"waiting up to {self._grace_s:g} s for the command to end; Ctrl-C again ends it now")

    def _forward(self, number: int) -> None:
        if number in (signal.SIGINT, signal.SIGQUIT):
            self._to_group(number)  # as a terminal does
        else:
            process_tree.send(number, [each for each in process_tree.descendants() if each.pid == self._pid])

    def _to_group(self, number: int) -> None:
        """To the command's processes only: others, such as a pager, may share the group."""
        process_tree.send(number, [each for each in process_tree.descendants() if each.group == self._group])

    def _end_all(self, number: int) -> None:
        self._we_killed = True
        if self._cause in ("answered", "over"):
            self._cut_off.update(each.pid for each in process_tree.descendants())
        process_tree.send(number, process_tree.descendants())

    def _end_the_rest(self) -> None:
        """Daemons, servers and other orphans: a moment to end by themselves, then by force."""
        self._limit_at = float("inf")
        self._cause = self._cause or "over"
        self._plan = [_Stage(lambda: None, _ORPHANS), self._by_force()[0]]
        self._advance()
        self._wait(lambda: not self._any_left)
        if not self._any_left:
            return
        self._end_all(signal.SIGKILL)
        patience = time.monotonic() + _PAUSE
        while self._any_left and time.monotonic() < patience:
            process_tree.kill_children()
            self._reap()
        if self._any_left:
            pids = ", ".join(str(each.pid) for each in process_tree.descendants())
            self._notes.append(f"these processes outlived SIGKILL: {pids}")
