"""Every thing with every release, each run at most once: a few at a time, and kept in a journal."""

from __future__ import annotations

import contextlib
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

import msgspec

from nanocheck.core.errors import NanocheckError, StoredDataError
from nanocheck.core.files import to_typed
from nanocheck.core.request_log import RequestLog
from nanocheck.core.verdict import JudgedRun
from nanocheck.drift.interpreters import Interpreter
from nanocheck.drift.subjects import Subject, link_to_nanocheck
from nanocheck.measuring.background_run import BackgroundRun
from nanocheck.process.journal import Journal
from nanocheck.process.scratch import Scratch

_TICK = 0.05  # seconds between two looks
#: The last line of a traceback.
_ERROR = re.compile(r"^(?:\w+\.)*\w+(?:Error|Exception): .*$", re.MULTILINE)

#: Called with finished runs, all runs, and name and release of what runs.
Show = Callable[[int, int, Sequence[tuple[str, str]]], None]


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of one thing with one release.

    Attributes:
        run: ``None`` where it could not be run at all. failed: why; of a run without an answer the last error
            that the command wrote.
        requests: a packed ``RequestLog``; empty where there is none.
    """

    run: JudgedRun | None = None
    requests: str = ""
    failed: str = ""

    @property
    def log(self) -> RequestLog | None:
        """Every request, where they were told."""
        return RequestLog.unpacked(self.requests) if self.requests else None


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One thing with one release."""

    subject: Subject
    python: Interpreter

    @property
    def key(self) -> str:
        """Its name in a journal: by content, so that what was edited is another one."""
        return f"{self.subject.identity}@{self.python.identity}"


class Runs:
    """Leaving it ends what still runs.

    Args:
        journal: finished answers (completed, oom) are taken from it and added to it.
        at_once: how many; one where a real card is shared.
        show: progress.
    """

    def __init__(self, journal: Journal | None, at_once: int, show: Show) -> None:
        self._journal, self._at_once, self._show = journal, at_once, show
        self._scratch = Scratch("drift")
        self._running: list[tuple[Asked, BackgroundRun, Path]] = []

    def __enter__(self) -> Runs:
        links = self._scratch.path / "links"
        links.mkdir()
        self._links = link_to_nanocheck(links)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, run, _ in self._running:
            run.stop()
        self._scratch.remove()

    def results(self, asked: Iterable[Asked]) -> Iterator[tuple[Asked, Ran]]:
        """As they finish, those of the journal first.

        Raises:
            StoredDataError: the journal holds a malformed record for one.
        """
        every = list(asked)
        known = [each for each in every if self._journal is not None and each.key in self._journal]
        for each in known:
            yield each, self._of_journal(each)
        queue = deque(each for each in every if each not in known)
        done = len(known)
        while queue or self._running:
            while queue and len(self._running) < self._at_once:
                one = queue.popleft()
                failed = self._start(one)
                if failed is not None:
                    done += 1
                    yield one, failed
            running = [(one.subject.name, f"torch {one.python.torch.version}") for one, _, _ in self._running]
            self._show(done, len(every), running)
            for found in self._ended():
                done += 1
                yield found
            if self._running:
                time.sleep(_TICK)

    def _start(self, one: Asked) -> Ran | None:
        """Why it could not be started, if it could not."""
        log = self._scratch.path / f"{one.key}.json"
        try:
            variation = one.subject.variation(one.python, self._links)
            variation = replace(variation, options=("--requests", str(log)))
            self._running.append((one, BackgroundRun(one.subject.request, variation), log))
        except NanocheckError as error:
            return Ran(failed=error.problem)
        return None

    def _ended(self) -> list[tuple[Asked, Ran]]:
        found = []
        for entry in list(self._running):
            one, run, log = entry
            try:
                judged = run.poll()
            except NanocheckError as error:
                ran = Ran(failed=error.problem)
            else:
                if judged is None:
                    continue
                ran = self._keep(one, judged, log, run.said)
            self._running.remove(entry)
            run.stop()
            found.append((one, ran))
        return found

    def _keep(self, one: Asked, judged: JudgedRun, log: Path, said: str) -> Ran:
        requests = ""
        with contextlib.suppress(OSError, msgspec.DecodeError, msgspec.ValidationError):
            requests = msgspec.json.decode(log.read_bytes(), type=RequestLog).packed()
            log.unlink()
        errors = _ERROR.findall(said) if not judged.result.outcome.is_answer else []
        ran = Ran(run=_without_picture(judged), requests=requests, failed=errors[-1] if errors else "")
        # Other outcomes may be the machine's bad day, so a resumed run tries them again.
        if self._journal is not None and judged.result.outcome.is_answer:
            self._journal.append(one.key, msgspec.to_builtins(ran))
        return ran

    def _of_journal(self, one: Asked) -> Ran:
        assert self._journal is not None
        where = str(self._journal.path)
        hint = f"rm {where}   # its results are then computed again"
        ran = to_typed(self._journal.get(one.key), Ran, what="a run", where=where, hint=hint)
        try:
            _ = ran.log
        except ValueError as error:
            raise StoredDataError(f"{where}: malformed requests: {error}", hint=hint) from error
        return ran


def _without_picture(judged: JudgedRun) -> JudgedRun:
    """Nobody draws these runs, and the picture is most of a result."""
    processes = tuple(msgspec.structs.replace(each, timeline=None) for each in judged.result.processes)
    return msgspec.structs.replace(judged, result=msgspec.structs.replace(judged.result, processes=processes))
