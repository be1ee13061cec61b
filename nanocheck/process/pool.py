"""Many jobs, a few at a time, each in a clean process. The parent's side; imports no torch.

There is no thread here: whoever waits for a result turns the one selector loop (``_pump``), which
serves all jobs. Between waits nothing is lost: children block on full pipes, and the time the caller
spends elsewhere is added to every deadline. One pool belongs to one thread.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.process import linux_process
from nanocheck.process.jobs import Deadlines, Job, JobResult
from nanocheck.process.running_job import Running, drain
from nanocheck.process.scratch import Scratch
from nanocheck.process.server_handle import Link, describe_exit

#: A server that keeps dying is this machine's fault, not a job's.
MAX_SERVER_DEATHS = 8

#: Called when anything changed: finished, submitted, and (id, stage) of what runs.
Observer = Callable[[int, int, Sequence[tuple[str, str]]], None]


class Handle:
    """A submitted job."""

    def __init__(self, pool: Pool, job: Job, on_done: Callable[[JobResult], None] | None) -> None:
        self.job = job
        self._body = job.encode()
        self._on_done = on_done
        self._pool = pool
        self._result: JobResult | None = None

    @property
    def done(self) -> bool:
        return self._result is not None

    def result(self) -> JobResult:
        """Wait for this job, serving all others meanwhile.

        Raises:
            MachineError: the server cannot be started, or keeps dying.
            RequestError: the pool was closed before the job had ended.
        """
        while self._result is None:
            self._pool._pump(None)
        return self._result

    def _finish(self, result: JobResult) -> None:
        self._result = result
        if self._on_done is not None:
            self._on_done(result)


class Pool:
    """Runs jobs, ``workers`` at a time, in children of one preloaded server.

    Args:
        workers: how many children at once.
        launch_environment: added to this process's environment for the server (``LD_PRELOAD``).
        preload: modules the server imports before it forks.
        deadlines: see ``Deadlines``.
        observer: see ``Observer``.
    """

    def __init__(
        self,
        workers: int = 2,
        launch_environment: Mapping[str, str] | None = None,
        preload: Sequence[str] = (),
        deadlines: Deadlines | None = None,
        observer: Observer | None = None,
    ) -> None:
        if workers < 1:
            raise RequestError(f"workers: expected at least 1, found {workers}")
        self._workers = workers
        self._launch_environment = dict(launch_environment or {})
        self._preload = list(preload)
        self._deadlines = deadlines or Deadlines()
        self._observer = observer
        self._queue: deque[tuple[int, Handle]] = deque()
        self._running: dict[int, tuple[Running, Handle]] = {}
        self._submitted = 0
        self._finished = 0
        self._deaths = 0
        self._link: Link | None = None
        self._ready_by = 0.0
        self._left_at = time.monotonic()
        self._closed = False
        self._failure: MachineError | None = None
        self._shown: Any = None
        self.fork_seconds: list[float] = []
        self.preload_seconds = 0.0
        self._selector = selectors.DefaultSelector()
        self._scratch = Scratch("pool")

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, job: Job, on_done: Callable[[JobResult], None] | None = None) -> Handle:
        """Queue a job; it runs while anybody waits for any result of this pool.

        ``on_done`` is called when it ends, whoever is waiting for what; what it raises ends the pool.
        """
        if self._closed:
            raise RequestError(f"the pool was closed before job {job.id} was submitted")
        handle = Handle(self, job, on_done)
        self._queue.append((self._submitted, handle))
        self._submitted += 1
        return handle

    def run(self, jobs: Iterable[Job]) -> Iterator[JobResult]:
        """Submit all jobs and yield their results as they finish. Leaving early drops the rest."""
        waiting = [self.submit(job) for job in jobs]
        try:
            while waiting:
                ended = [each for each in waiting if each.done]
                waiting = [each for each in waiting if not each.done]
                for handle in ended:
                    yield handle.result()
                if waiting and not ended:
                    self._pump(None)
        finally:
            self._drop(waiting)

    def poll(self) -> None:
        """Serve all jobs without waiting."""
        if self._queue or self._running:
            self._pump(0.0)

    def wait(self, timeout: float | None = None) -> None:
        """Serve all jobs until anything happened at all, or so many seconds."""
        if self._queue or self._running:
            self._pump(timeout)

    def close(self) -> None:
        """Kill what runs, end the server, remove the scratch folder. Idempotent."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._link is not None:
                self._selector.unregister(self._link.sock)
                self._selector.unregister(self._link.output_fd)
                self._link.end()
                self._kill_orphaned_groups()
        finally:
            for running, _ in self._running.values():
                running.close()
            self._running.clear()
            self._queue.clear()
            self._selector.close()
            self._scratch.remove()

    def _drop(self, handles: Iterable[Handle]) -> None:
        unwanted = {id(handle) for handle in handles}
        if self._closed or not unwanted:
            return
        self._queue = deque(each for each in self._queue if id(each[1]) not in unwanted)
        for run, (running, handle) in self._running.items():
            if id(handle) in unwanted:
                self._kill(run, running)

    # -- the loop -----------------------------------------------------------------------------------

    def _pump(self, timeout: float | None) -> None:
        """Serve whatever is ready, or wait for the next thing that is, at most ``timeout`` seconds."""
        if self._failure is not None:
            raise self._failure
        if self._closed:
            raise RequestError("the pool was closed before all its jobs had ended")
        try:
            away = time.monotonic() - self._left_at
            for running, _ in self._running.values():
                running.expires_at += away
            self._ready_by += away
            self._fill()
            self._show()
            for key, _ in self._selector.select(self._patience(timeout)):
                # An earlier one of this batch may have ended the job this one belongs to.
                if self._selector.get_map().get(key.fd) == key:
                    key.data()
            self._enforce()
            self._fill()
            self._show()
            self._left_at = time.monotonic()
        except BaseException as error:  # KeyboardInterrupt above all: nothing may outlive it
            if isinstance(error, MachineError):
                self._failure = error
            self.close()
            raise

    def _show(self) -> None:
        if self._observer is None:
            return
        state = [(running.job.id, running.stage) for running, _ in self._running.values()]
        if (self._finished, self._submitted, state) != self._shown:
            self._shown = (self._finished, self._submitted, state)
            self._observer(self._finished, self._submitted, state)

    def _patience(self, timeout: float | None) -> float | None:
        moments = [running.expires_at for running, _ in self._running.values()]
        if self._link is not None and not self._link.ready:
            moments.append(self._ready_by)
        if not moments:
            return timeout
        until_next = max(0.0, min(moments) - time.monotonic())
        return until_next if timeout is None else min(timeout, until_next)

    def _fill(self) -> None:
        """Start what there is room for."""
        if self._queue and self._link is None:
            self._link = Link(self._launch_environment, self._preload, str(self._scratch.path))
            self._ready_by = time.monotonic() + self._deadlines.preload
            self._selector.register(self._link.sock, selectors.EVENT_READ, self._hear)
            self._selector.register(self._link.output_fd, selectors.EVENT_READ, self._hear_output)
        while self._queue and len(self._running) < self._workers and self._link and self._link.ready:
            run, handle = self._queue.popleft()
            self._start(self._link, run, handle)

    def _start(self, link: Link, run: int, handle: Handle) -> None:
        running = Running(handle.job, self._deadlines)
        self._running[run] = (running, handle)
        self._selector.register(running.output_fd, selectors.EVENT_READ, lambda: self._read_output(running))
        self._selector.register(
            running.results_fd, selectors.EVENT_READ, lambda: self._read_results(run, running)
        )
        try:
            directory = self._scratch.path / str(run)
            directory.mkdir()
            link.start(run, handle._body, str(directory), running.output_write, running.results_write)
        finally:
            running.close_write_ends()

    def _read_output(self, running: Running) -> None:
        if not running.read_output():
            self._forget(running.output_fd)

    def _read_results(self, run: int, running: Running) -> None:
        fine = running.garbage is None
        if not running.read_results():
            self._forget(running.results_fd)
        if fine and running.garbage is not None:
            self._kill(run, running)

    def _kill(self, run: int, running: Running) -> None:
        if self._link is not None:
            self._link.kill(run, signal.SIGKILL)
        running.signals_sent = 1
        running.next_signal_after(self._deadlines.reply)

    def _forget(self, fd: int) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(fd)

    def _enforce(self) -> None:
        """Deadlines: SIGTERM, SIGKILL, and in the end without the process."""
        now = time.monotonic()
        link = self._link
        if link is None:
            return
        if not link.ready and now > self._ready_by:
            link.process.kill()
            raise MachineError(
                f"the job server did not import {', '.join(self._preload)} within "
                f"{self._deadlines.preload:g} s; its output ends:\n{link.output.text}",
                hint="run again on a less busy machine",
            )
        for run, (running, _) in list(self._running.items()):
            if now <= running.expires_at:
                continue
            if running.signals_sent == 0:
                running.expire()
                if running.pid is None:  # not even forked
                    self._replace(link, running)
                    continue
                link.kill(run, signal.SIGTERM)
                running.next_signal_after(self._deadlines.grace)
            elif running.signals_sent == 1:
                self._kill(run, running)
            elif running.pid is not None and linux_process.is_unkillable(running.pid):
                self._end(run, None, None, lost="the process outlived SIGKILL")
            else:
                self._replace(link, running)

    def _replace(self, link: Link, running: Running) -> None:
        """End a server that is stuck; its socket then reports its death as any other."""
        link.process.kill()
        running.next_signal_after(self._deadlines.reply)

    # -- what the server says -----------------------------------------------------------------------

    def _hear_output(self) -> None:
        assert self._link is not None
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(self._link.output_fd, 1 << 16)
            self._link.output.add(chunk)
            if not chunk:
                self._forget(self._link.output_fd)

    def _hear(self) -> None:
        assert self._link is not None
        link = self._link
        events, gone = link.events()
        for event in events:
            if event["event"] == "ready":
                link.ready = True
                self.preload_seconds = event["seconds"]
                if event["threads"]:
                    warnings.warn(
                        f"a preloaded module started threads ({', '.join(event['threads'])}); "
                        "children forked beside them may hang",
                        RuntimeWarning,
                        stacklevel=2,
                    )
            elif event["event"] == "unready":
                raise MachineError(
                    f"the job server cannot import {event['module']}: {event['type']}: {event['message']}"
                    f"\n{event['traceback']}{link.output.text}",
                    hint=f"make `python -c 'import {event['module']}'` work in this environment",
                )
            elif event["run"] in self._running:
                self._hear_of(event)
        if gone:
            self._server_died(link)

    def _hear_of(self, event: dict[str, Any]) -> None:
        run = event["run"]
        running, _ = self._running[run]
        if event["event"] == "started":
            running.pid = event["pid"]
            self.fork_seconds.append(event["seconds"])
        elif event["event"] == "unstarted":
            self._end(run, None, None, lost=f"the job server could not fork: {event['message']}")
        else:
            self._end(run, event["status"], event["maxrss_bytes"])

    def _server_died(self, link: Link) -> None:
        self._link = None
        self._selector.unregister(link.sock)
        self._forget(link.output_fd)
        code = link.end()
        self._kill_orphaned_groups()
        self._deaths += 1
        why = f"the job server died ({describe_exit(code)})"
        for run in list(self._running):
            self._end(run, None, None, lost=why)
        if not link.ready or self._deaths > MAX_SERVER_DEATHS:
            times = f" {self._deaths} times" if link.ready else " before it was ready"
            raise MachineError(
                f"{why}{times}; its output ends:\n{link.output.text}",
                hint="look into the output above; `dmesg` tells whether the host's memory was exhausted",
            )

    def _kill_orphaned_groups(self) -> None:
        """The kernel killed the children with their server (``PR_SET_PDEATHSIG``), not their groups."""
        for running, _ in self._running.values():
            if running.pid is not None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(running.pid, signal.SIGKILL)

    def _end(self, run: int, code: int | None, maxrss_bytes: int | None, lost: str | None = None) -> None:
        running, handle = self._running.pop(run)
        self._forget(running.output_fd)
        self._forget(running.results_fd)
        drain(running)
        running.close()
        shutil.rmtree(self._scratch.path / str(run), ignore_errors=True)
        self._finished += 1
        handle._finish(running.finish(code, maxrss_bytes, lost))
