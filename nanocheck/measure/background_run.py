"""The same question once more, with something changed, out of sight: a ``nanocheck run`` of its own.

Each is a process that adopts and ends whatever its command starts, so several can run at once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.measure.request import Request
from nanocheck.process import linux_process

_TICK = 0.05  # seconds between two looks
_SIGNALS = 4  # SIGTERMs until a run has nothing left to be patient with
_PATIENCE = 3.0  # seconds for each
_TAIL = 4000  # characters of its messages that are shown


class Again:
    """A run in the background. ``poll`` until there is an answer; ``stop`` ends it, whatever it does.

    Args:
        command: instead of the request's.
        gpu: instead of the request's.
        environment: added to ours.
    """

    def __init__(
        self,
        request: Request,
        *,
        command: Sequence[str] | None = None,
        gpu: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="nanocheck-again-")
        self._json = Path(self._folder.name) / "answer.json"
        self._said = Path(self._folder.name) / "said.txt"
        # -P: a folder called nanocheck where we stand is not us.
        asked = [sys.executable, "-P", "-m", "nanocheck", "run", *request.options(gpu)]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [*asked, "--json", str(self._json), "--", *(command or request.command)],
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # no terminal: Ctrl-C is ours to pass on
                preexec_fn=lambda: linux_process.die_with_parent(signal.SIGTERM),
            )

    def poll(self) -> dict[str, Any] | None:
        """The answer, once there is one.

        Raises:
            MachineError, RequestError: it could not be asked at all.
        """
        code = self._process.poll()
        if code is None:
            return None
        if self._json.is_file():
            found: dict[str, Any] = json.loads(self._json.read_text())
            return found
        said = self._said.read_text(errors="replace")[-_TAIL:].strip()
        error = RequestError if code == RequestError.exit_code else MachineError
        raise error(f"a further run gave no answer (exit code {code}):\n{said}")

    def stop(self) -> None:
        """End it with everything it started. Idempotent."""
        for _ in range(_SIGNALS):
            if self._process.poll() is not None:
                break
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                continue
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()


def run_all(
    starts: Iterable[tuple[str, Callable[[], Again]]], at_once: int, show: Callable[[int, list[str]], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Names and answers of many runs as they come, ``at_once`` at a time; leaving early ends the rest.

    Args:
        show: called with the number of answers so far and the names of what runs.
    """
    waiting, done = iter(starts), 0
    running: dict[str, Again] = {}
    try:
        while True:
            while len(running) < at_once and (following := next(waiting, None)) is not None:
                running[following[0]] = following[1]()
            if not running:
                return
            show(done, list(running))
            for name, again in list(running.items()):
                found = again.poll()
                if found is not None:
                    running.pop(name).stop()
                    done += 1
                    yield name, found
            time.sleep(_TICK)
    finally:
        for again in running.values():
            again.stop()
