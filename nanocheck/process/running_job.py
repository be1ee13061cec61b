"""One job while it runs: its pipes, what it reported, and its outcome once it has ended."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from nanocheck.core.strict_text import parse_json
from nanocheck.process.jobs import Deadlines, Job, JobError, JobResult
from nanocheck.process.linux_process import OomKills
from nanocheck.process.output_tail import Tail
from nanocheck.process.server_handle import describe_exit, signal_name

#: All that one job may report; a record takes some kilobytes.
RESULTS_LIMIT_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
#: Kinds of message and what each carries besides ``kind`` and ``at``.
_FIELDS = {"stage": {"name"}, "partial": {"data"}, "result": {"data"}, "error": {"error"}}


class Running:
    """Reads one child's two pipes and keeps its clock."""

    def __init__(self, job: Job, deadlines: Deadlines) -> None:
        self.job = job
        self.pid: int | None = None
        self.stage = "start"
        self.output = Tail()
        self.signals_sent = 0
        self.timed_out: str | None = None
        self.garbage: str | None = None
        self._deadlines = deadlines
        self._oom_before = OomKills.now()
        self._stage_began = time.monotonic()
        self._seconds: dict[str, float] = {}
        self._partials: list[Any] = []
        self._final: dict[str, Any] | None = None
        self._line = bytearray()
        self._results_bytes = 0
        self.output_fd, self.output_write = os.pipe()
        self.results_fd, self.results_write = os.pipe()
        os.set_blocking(self.output_fd, False)
        os.set_blocking(self.results_fd, False)
        self.expires_at = 0.0
        self._set_deadline()

    def close_write_ends(self) -> None:
        """Once the server has its copies."""
        os.close(self.output_write)
        os.close(self.results_write)

    def close(self) -> None:
        os.close(self.output_fd)
        os.close(self.results_fd)

    def read_output(self, limit_bytes: int = _CHUNK_BYTES) -> bool:
        """Drain some output. False at its end."""
        while limit_bytes > 0:
            try:
                chunk = os.read(self.output_fd, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            self.output.add(chunk)
            limit_bytes -= len(chunk)
        return True

    def read_results(self) -> bool:
        """Take in what was reported. False at the end of the pipe; garbage sets ``garbage``."""
        while True:
            try:
                chunk = os.read(self.results_fd, _CHUNK_BYTES)
            except BlockingIOError:
                return True
            if not chunk:
                return False
            if self.garbage is not None:
                return True
            self._results_bytes += len(chunk)
            if self._results_bytes > RESULTS_LIMIT_BYTES:
                self._refuse(f"more than {RESULTS_LIMIT_BYTES >> 20} MiB of results")
                return True
            self._line += chunk
            if b"\n" not in chunk:  # never search a long line again
                continue
            *lines, rest = self._line.split(b"\n")
            self._line = rest
            for line in lines:
                if self.garbage is None:
                    self._take(bytes(line))

    def _refuse(self, reason: str) -> None:
        self.garbage = reason
        self._line.clear()
        self._final = None

    def _take(self, line: bytes) -> None:
        try:
            message = parse_json(line)
        except ValueError as error:
            self._refuse(f"not JSON ({error}): {line[:80]!r}")
            return
        kind = message.get("kind") if isinstance(message, dict) else None
        shape = _FIELDS.get(str(kind))
        at = message.get("at") if shape is not None else None
        if shape is None or set(message) != shape | {"kind", "at"} or type(at) is not float:
            self._refuse(f"no message of the job protocol: {line[:80]!r}")
        elif self._final is not None:
            self._refuse(f"a message after the result: {line[:80]!r}")
        elif kind == "stage" and type(message["name"]) is str:
            self._enter(message["name"], at)
        elif kind == "stage":
            self._refuse(f"a stage without a name: {line[:80]!r}")
        elif kind == "partial":
            self._partials.append(message["data"])
        else:
            if kind == "error":
                try:
                    message["error"] = JobError.from_dict(message["error"])
                except TypeError as error:
                    self._refuse(f"a malformed error: {error}")
                    return
            self._final = message
            self._book(at)

    def _enter(self, stage: str, at: float) -> None:
        self._book(at)
        self.stage = stage
        self._set_deadline()

    def _book(self, at: float) -> None:
        # The child's clock is ours (CLOCK_MONOTONIC), but what it says is not trusted to be sane.
        at = min(max(at, self._stage_began), time.monotonic())
        self._seconds[self.stage] = self._seconds.get(self.stage, 0.0) + at - self._stage_began
        self._stage_began = at

    def _set_deadline(self) -> None:
        self.expires_at = time.monotonic() + self._deadlines.limit(self.stage, self.job.deadlines)

    def next_signal_after(self, seconds: float) -> None:
        """A signal was sent: the next one is due then."""
        self.signals_sent += 1
        self.expires_at = time.monotonic() + seconds

    def expire(self) -> None:
        """Remember which deadline passed."""
        limit = self._deadlines.limit(self.stage, self.job.deadlines)
        self.timed_out = f"stage {self.stage!r} took longer than its deadline of {limit:g} s"

    def finish(self, code: int | None, maxrss_bytes: int | None, lost: str | None = None) -> JobResult:
        """Judge the job, after its last output has been read.

        Args:
            code: as ``subprocess`` has it: exit code, or minus the signal; ``None`` if unseen.
            lost: why nobody could see it end.
        """
        if self._final is None:
            self._book(time.monotonic())
        outcome, reason = self._outcome(code, lost)
        return JobResult(
            id=self.job.id,
            outcome=outcome,
            value=self._final["data"] if outcome == "ok" and self._final is not None else None,
            error=self._final["error"] if outcome == "error" and self._final is not None else None,
            reason=reason,
            stage=self.stage,
            seconds=self._seconds,
            partials=tuple(self._partials),
            output=self.output.text,
            output_bytes=self.output.total_bytes,
            exit_code=code if code is not None and code >= 0 else None,
            signal=signal_name(code) if code is not None and code < 0 else None,
            maxrss_bytes=maxrss_bytes,
        )

    def _outcome(self, code: int | None, lost: str | None) -> tuple[str, str]:
        if self.garbage is not None:
            return "garbage", f"the result channel carried {self.garbage}"
        if code == 0 and self._final is not None and not self._line:
            if self._final["kind"] == "result":
                return "ok", ""
            error = self._final["error"]
            return "error", f"{error.type}: {error.problem or error.message}"
        if self.timed_out is not None:
            return "timeout", self.timed_out
        if code is None:
            return "crashed", lost or "nobody saw it end"
        if code == 0 and self._line:
            return "garbage", f"the result channel carried an unfinished line: {bytes(self._line[:80])!r}"
        when = "after reporting its result" if self._final is not None else f"in stage {self.stage!r}"
        reason = f"the process ended with {describe_exit(code)} {when}"
        if code == -9:
            reason += f"; nanocheck did not send it: {OomKills.now().explain_since(self._oom_before)}"
        return "crashed", reason


def drain(running: Running) -> None:
    """All that an ended child left in its pipes. Bounded: an escaped daemon may still be writing."""
    with contextlib.suppress(OSError):
        running.read_output(limit_bytes=4 << 20)
    with contextlib.suppress(OSError):
        running.read_results()
