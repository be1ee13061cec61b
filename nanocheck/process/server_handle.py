"""The parent's end of one fork server: start it, hand it jobs, hear its events, end it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nanocheck
from nanocheck.process.output_tail import Tail

_MESSAGE_BYTES = 1 << 16


class Link:
    """One server process. ``sock`` and ``output_fd`` are for the caller's selector."""

    def __init__(self, launch_environment: Mapping[str, str], preload: Sequence[str], scratch: str) -> None:
        self.ready = False
        self.output = Tail()
        self.sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.output_fd, output_write = os.pipe()
        try:
            # -P: what the current directory holds must not shadow modules of a clean process.
            # A session of its own: Ctrl-C reaches the parent only, which ends things in order.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "nanocheck.process.fork_server", str(theirs.fileno())],
                env=_environment(launch_environment),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output_write,
                stderr=output_write,
                start_new_session=True,
            )
        except BaseException:
            self.sock.close()
            os.close(self.output_fd)
            raise
        finally:
            theirs.close()
            os.close(output_write)
        os.set_blocking(self.output_fd, False)
        self.sock.setblocking(False)
        self._send({"preload": list(preload), "scratch": scratch})

    def start(self, run: int, body: bytes, directory: str, output_fd: int, results_fd: int) -> None:
        """Ask for a child. The job itself travels in a memory file that only the child reads."""
        job_fd = os.memfd_create("nanocheck-job", os.MFD_CLOEXEC)
        try:
            rest = memoryview(body)
            while rest:
                rest = rest[os.write(job_fd, rest) :]
            os.lseek(job_fd, 0, os.SEEK_SET)
            self._send({"run": run, "directory": directory}, [job_fd, output_fd, results_fd])
        finally:
            os.close(job_fd)

    def kill(self, run: int, number: signal.Signals) -> None:
        """Signal a job's process group; the server does it, which knows whether it still lives."""
        self._send({"kill": run, "signal": int(number)})

    def events(self) -> tuple[list[dict[str, Any]], bool]:
        """What the server said since, and whether it is gone."""
        found: list[dict[str, Any]] = []
        while True:
            try:
                data = self.sock.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                return found, False
            except ConnectionResetError:
                return found, True
            if not data:
                return found, True
            found.append(json.loads(data))

    def end(self, patience: float = 5.0) -> int:
        """Close the socket, which ends the server and all its children. Returns its exit code."""
        self.sock.close()
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(self.output_fd, 1 << 16):
                self.output.add(chunk)
        os.close(self.output_fd)
        return code

    def _send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        # A server that died shows as the end of its socket, and a stuck one by its deadline.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, BlockingIOError):
            socket.send_fds(self.sock, [json.dumps(message).encode()], fds)


def describe_exit(code: int) -> str:
    """``exit code 3`` or ``signal SIGKILL`` for a code in ``subprocess``'s manner."""
    return f"exit code {code}" if code >= 0 else f"signal {signal_name(code)}"


def signal_name(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"SIG{-code}"


def _environment(launch: Mapping[str, str]) -> dict[str, str]:
    environment = {**os.environ, **launch}
    root = Path(nanocheck.__file__).resolve().parent.parent
    # A checkout that is not installed is found through PYTHONPATH; site-packages must not go ahead
    # of the standard library.
    if root.name not in ("site-packages", "dist-packages"):
        parts = [str(root), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(part for part in parts if part)
    return environment
