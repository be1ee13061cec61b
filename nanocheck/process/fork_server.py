"""The fork server: ``python -m nanocheck.process.fork_server FD``.

Imports the modules it is told to (torch takes seconds, a fork milliseconds), never touches CUDA, and
forks one child per request. It talks JSON messages over the sequenced-packet Unix socket ``FD``:

=========  ====================================================================================
received   ``{"preload": [...], "scratch": path}`` once; then
           ``{"run": n, "directory": path}`` with three descriptors (job as JSON, output, results),
           ``{"kill": n, "signal": s}``
sent       ``{"event": "ready", "seconds", "threads", "native_threads"}`` or
           ``{"event": "unready", "module", "type", "message", "traceback"}``;
           ``{"event": "started", "run": n, "pid", "seconds"}``, ``{"event": "unstarted", "run": n,
           "message"}``, ``{"event": "ended", "run": n, "pid", "status", "maxrss_bytes", "cpu_seconds"}``
=========  ====================================================================================

When the socket closes, the server kills every child it has and leaves. Jobs pass through unread, so
its memory does not grow with them.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

from nanocheck.process import child, linux_process

_MESSAGE_BYTES = 1 << 16


class Server:
    """One socket, any number of children."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._pids: dict[int, int] = {}  # run number -> pid
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._scratch: str | None = None

    def serve(self) -> int:
        """Until the socket closes. Returns the exit status."""
        linux_process.adopt_orphans()
        message = self._receive()
        if message is None:
            return 0
        self._scratch = message["scratch"]
        if not self._preload(message["preload"]):
            return 3
        signal.signal(signal.SIGCHLD, lambda *_: None)  # the wakeup descriptor does the work
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        while True:
            ready, _, _ = select.select([self._sock.fileno(), self._wake_read], [], [])
            if self._wake_read in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 4096)
                self._reap()
            if self._sock.fileno() in ready and not self._obey():
                self._leave()
                return 0

    def _receive(self) -> dict[str, Any] | None:
        try:
            data, self._fds, _, _ = socket.recv_fds(self._sock, _MESSAGE_BYTES, 3)
        except ConnectionResetError:
            return None
        return json.loads(data) if data else None

    def _send(self, event: str, **fields: Any) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the next read sees the end
            self._sock.send(json.dumps({"event": event, **fields}).encode())

    def _preload(self, modules: list[str]) -> bool:
        began = time.monotonic()
        # Little of what is imported is garbage, and to look for it takes a fifth of the time torch needs.
        gc.disable()
        for name in modules:
            try:
                importlib.import_module(name)
            except BaseException as error:
                self._send(
                    "unready",
                    module=name,
                    type=type(error).__qualname__,
                    message=str(error)[:4000],
                    traceback=traceback.format_exc()[-16000:],
                )
                return False
        # Python warns about every fork beside a native thread; BLAS pools are such, and fork-safe.
        warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
        # Keep the collector away from what is shared, or every child copies those pages.
        gc.enable()
        gc.collect()
        gc.freeze()
        self._send(
            "ready",
            seconds=time.monotonic() - began,
            threads=[each.name for each in threading.enumerate()][1:],
            native_threads=len(list(Path("/proc/self/task").iterdir())),
        )
        return True

    def _obey(self) -> bool:
        """One message. False when the other side is gone."""
        message = self._receive()
        if message is None:
            return False
        if "kill" in message:
            # Only children not yet reaped are in the table, so the number cannot be another's.
            if message["kill"] in self._pids:
                _kill_group(self._pids[message["kill"]], message["signal"])
            return True
        fds = self._fds
        try:
            self._fork(message["run"], message["directory"], fds)
        except OSError as error:
            self._send("unstarted", run=message["run"], message=str(error))
        finally:
            for fd in fds:
                os.close(fd)
        return True

    def _fork(self, run: int, directory: str, fds: list[int]) -> None:
        if threading.active_count() > 1:
            print(f"WARNING: forking with threads {threading.enumerate()}: children may hang", flush=True)
        sys.stdout.flush()
        sys.stderr.flush()
        server_pid = os.getpid()
        began = time.monotonic()
        pid = os.fork()
        if pid == 0:
            child.main(
                *fds,
                directory=directory,
                server_pid=server_pid,
                close=(self._sock.fileno(), self._wake_read, self._wake_write),
            )
        self._pids[run] = pid
        self._send("started", run=run, pid=pid, seconds=time.monotonic() - began)

    def _reap(self) -> None:
        for run, pid in list(self._pids.items()):
            # Look first, kill what is left of the group, then reap: until then the number stays ours.
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
                continue
            _kill_group(pid, signal.SIGKILL)
            del self._pids[run]
            _, status, usage = os.wait4(pid, 0)
            self._send(
                "ended",
                run=run,
                pid=pid,
                status=os.waitstatus_to_exitcode(status),
                maxrss_bytes=usage.ru_maxrss * 1024,
                cpu_seconds=usage.ru_utime + usage.ru_stime,
            )
        self._reap_orphans()

    def _reap_orphans(self) -> None:
        """Adopted descendants that have ended; a job's own child is left to ``_reap``."""
        own = set(self._pids.values())
        for pid in _children():
            if pid not in own:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def _leave(self) -> None:
        for pid in self._pids.values():
            _kill_group(pid, signal.SIGKILL)
        # Daemons that escaped their group were adopted; each one killed may orphan others to us.
        for _ in range(100):
            remaining = _children()
            if not remaining:
                break
            for pid in remaining:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, 0)
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)


def _children() -> list[int]:
    """Direct children, zombies included (``proc_pid_task_children``; the server has one thread)."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _kill_group(pid: int, number: int) -> None:
    """Before the child's setsid there is no such group: then the child alone."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    except PermissionError:  # a set-uid member of the group: the rest got the signal
        pass


if __name__ == "__main__":
    status = Server(socket.socket(fileno=int(sys.argv[1]))).serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
