"""A command once more, with something changed, out of sight: each run is a ``nanocheck run`` of its own.

Each is a process that adopts and ends whatever its command starts, so several can run at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.core.files import read_json, to_typed
from nanocheck.core.verdict import JudgedRun
from nanocheck.measuring.request import Request
from nanocheck.process import linux_process
from nanocheck.process.scratch import Scratch

_TICK = 0.05  # seconds between two looks
_SIGNALS = 4  # SIGTERMs until a run has nothing left to be patient with
_PATIENCE = 3.0  # seconds for each
_TAIL = 4000  # characters of its messages that are shown


@dataclass(frozen=True, kw_only=True)
class Variation:
    """What is changed for one run; ``None``: as the request has it.

    ``name`` is for people; ``environment`` is added to ours; ``gpus``: a further file with cards; ``folder``:
    where the command runs; ``options``: further ones of ``nanocheck run``.
    """

    name: str
    command: tuple[str, ...] | None = None
    gpu: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    gpus: Path | None = None
    folder: Path | None = None
    options: tuple[str, ...] = ()


class BackgroundRun:
    """One run. ``poll`` until there is a result; ``stop`` ends it, whatever it does."""

    def __init__(self, request: Request, variation: Variation) -> None:
        self._folder = Scratch("background")
        self._json = self._folder.path / "run.json"
        self._said = self._folder.path / "said.txt"
        command = variation.command or tuple(request.command)
        # -P: a folder called nanocheck where we stand is not us.
        verb = [sys.executable, "-P", "-m", "nanocheck", "run", *request.options(variation.gpu)]
        verb += [] if variation.gpus is None else ["--gpus", str(variation.gpus)]
        verb += variation.options
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [*verb, "--json", str(self._json), "--", *command],
                cwd=variation.folder,
                env={**os.environ, **variation.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                start_new_session=True,  # no terminal: Ctrl-C is ours to pass on
                preexec_fn=lambda: linux_process.die_with_parent(signal.SIGTERM),
            )

    def poll(self) -> JudgedRun | None:
        """The result, once there is one.

        Raises:
            MachineError, RequestError: it could not be run at all.
        """
        code = self._process.poll()
        if code is None:
            return None
        if self._json.is_file():
            data, _ = read_json(self._json, hint="run it again")
            for answered in ("suggestions", "step_time"):  # of a ``RunFile``, beside the judged run
                data.pop(answered, None)
            return to_typed(data, JudgedRun, what="a run", where="a further run", hint=None)
        error = RequestError if code == RequestError.exit_code else MachineError
        raise error(f"a further run gave no answer (exit code {code}):\n{self.said}")

    @property
    def said(self) -> str:
        """The end of what it and the command wrote to stderr."""
        return self._said.read_text(errors="replace")[-_TAIL:].strip()

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
        self._folder.remove()


class _Pending:
    def __init__(self, variation: Variation) -> None:
        self.variation = variation
        self.found: JudgedRun | None = None


class BackgroundRuns:
    """Runs of one command with variations, a few at a time; leaving it ends what still runs.

    Args:
        at_once: how many.
        show: called with the number of finished runs and the names of those that run.
    """

    def __init__(self, request: Request, at_once: int, show: Callable[[int, list[str]], None]) -> None:
        self._request, self._at_once, self._show = request, at_once, show
        self._queue: deque[_Pending] = deque()
        self._running: list[tuple[_Pending, BackgroundRun]] = []
        self._done = 0

    def __enter__(self) -> BackgroundRuns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, run in self._running:
            run.stop()

    def submit(self, variation: Variation, /) -> _Pending:
        """Ask for a run; it starts when there is room, while somebody waits."""
        pending = _Pending(variation)
        self._queue.append(pending)
        return pending

    def wait(self) -> None:
        """Until at least one run has ended.

        Raises:
            MachineError, RequestError: one could not be run at all.
        """
        while True:
            while self._queue and len(self._running) < self._at_once:
                pending = self._queue.popleft()
                self._running.append((pending, BackgroundRun(self._request, pending.variation)))
            self._show(self._done, [pending.variation.name for pending, _ in self._running])
            ended = [(pending, run) for pending, run in self._running if self._look(pending, run)]
            for pending, run in ended:
                self._running.remove((pending, run))
                run.stop()
                self._done += 1
            if ended or not self._running:
                return
            time.sleep(_TICK)

    def _look(self, pending: _Pending, run: BackgroundRun) -> bool:
        pending.found = run.poll()
        return pending.found is not None
