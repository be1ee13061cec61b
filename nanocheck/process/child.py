"""The forked child: make a clean process, call the task, write its result as one JSON line, leave."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from nanocheck.core.errors import NanocheckError
from nanocheck.process import linux_process

#: The child could not report (``EX_SOFTWARE`` of sysexits.h); its output says why.
EXIT_UNREPORTED = 70

#: Signals whose disposition Python itself sets and relies on.
_PYTHON_OWN = {signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGKILL, signal.SIGSTOP}

Emit = Callable[[str, Any], None]


class Reporter:
    """Writes messages, one JSON line each, to the result pipe. Safe to call from several threads."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._closed = False

    def emit(self, kind: str, data: Any) -> None:
        """``emit("stage", name)`` or ``emit("partial", data)``; the task's second argument.

        Raises:
            ValueError, TypeError: another kind, or data that JSON cannot hold (NaN included).
        """
        if kind == "stage":
            if not isinstance(data, str):
                raise TypeError(f"emit('stage', name): expected a string, found {data!r}")
            self._send({"kind": "stage", "name": data})
        elif kind == "partial":
            self._send({"kind": "partial", "data": data})
        else:
            raise ValueError(f"emit: expected 'stage' or 'partial', found {kind!r}")

    def result(self, value: Any) -> None:
        self._send({"kind": "result", "data": value}, last=True)

    def error(self, error: BaseException) -> None:
        fields: dict[str, Any] = {
            "type": type(error).__qualname__,
            "message": str(error),
            "traceback": "".join(traceback.format_exception(error)),
        }
        if isinstance(error, NanocheckError):
            fields.update(problem=error.problem, hint=error.hint, exit_code=error.exit_code)
        self._send({"kind": "error", "error": fields}, last=True)

    def _send(self, message: dict[str, Any], last: bool = False) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("only the job's own process may report, not a process it forked")
        line = memoryview(json.dumps({**message, "at": time.monotonic()}, allow_nan=False).encode() + b"\n")
        with self._lock:
            if self._closed:
                raise RuntimeError("the job has already reported its result")
            self._closed = last
            while line:
                line = line[os.write(self._fd, line) :]


def main(
    job_fd: int, output_fd: int, results_fd: int, *, directory: str, server_pid: int, close: Iterable[int]
) -> NoReturn:
    """Everything the forked child does. Never returns, never runs the server's exit handlers:
    torch's static destructors are slow, and unsafe on a virtual GPU.
    """
    status = EXIT_UNREPORTED
    try:
        _isolate(output_fd, results_fd, server_pid, close)
        with open(job_fd, "rb") as file:
            job = json.load(file)
        os.chdir(directory)
        reporter = Reporter(results_fd)
        reporter.emit("stage", "import")
        try:
            value = _call(job, reporter.emit, lambda: reporter.emit("stage", "run"))
            if os.getpid() == reporter._pid:
                reporter.result(value)
        except BaseException as error:
            reporter.error(error)
        status = 0
    except BaseException:
        with contextlib.suppress(BaseException):
            os.write(2, traceback.format_exc().encode())
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        os._exit(status)


def _isolate(output_fd: int, results_fd: int, server_pid: int, close: Iterable[int]) -> None:
    """Own session and process group, own streams, default signals, first victim when memory ends."""
    signal.set_wakeup_fd(-1)
    os.setsid()
    linux_process.die_with_parent()
    if os.getppid() != server_pid:  # it died before the line above
        os._exit(EXIT_UNREPORTED)
    for fd in close:
        os.close(fd)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(output_fd, 1)
    os.dup2(output_fd, 2)
    os.close(output_fd)
    # A process that the task starts must not hold the result pipe.
    os.set_inheritable(results_fd, False)
    for number in signal.valid_signals() - _PYTHON_OWN:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # A crash, and a deadline's SIGTERM, leave the Python stack in the output before they kill.
    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGTERM, file=2, chain=True)
    linux_process.no_core_dump()
    linux_process.offer_to_oom_killer()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]


def _call(job: dict[str, Any], emit: Emit, imported: Callable[[], None]) -> Any:
    for name, value in job["environment"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    module, _, function = job["task"].partition(":")
    task = getattr(importlib.import_module(module), function)
    imported()
    return task(job["payload"], emit)
