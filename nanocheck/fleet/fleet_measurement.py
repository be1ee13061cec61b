"""Asked as ``measuring.configurations.Measurement`` is; the stations of a crew do the work."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any

import msgspec

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Target
from nanocheck.core.errors import MachineError, StoredDataError
from nanocheck.core.files import to_typed
from nanocheck.core.result import Environment, Outcome, Provenance, RunResult
from nanocheck.fleet.identity import variables
from nanocheck.fleet.messages import MOST_LOSSES, Crew, Item, Kind, Lost, Post, Report, Setup, Unfit
from nanocheck.measuring.configurations import PRELOAD, PRELOAD_COMPILED, TASK
from nanocheck.measuring.stored_results import RECORDED, result_key, stored_result
from nanocheck.process.jobs import Deadlines
from nanocheck.process.journal import Journal
from nanocheck.process.pool import Observer

#: From so many on it runs alone, so that only its own station's loss counts against it.
_ALONE_FROM = 2
#: A station answers at least so often, in seconds: that is how old its progress can be.
_PATIENCE = 1.0


class FleetPending:
    """A submitted configuration; fields as those of ``Measurement``'s."""

    def __init__(self, fleet: FleetMeasurement, item: Item) -> None:
        self.config, self.target, self.recorded = item.config, item.target, item.record
        self.found: RunResult | None = None
        self.item = item
        self.losses: list[str] = []
        self._fleet = fleet

    def result(self) -> RunResult:
        """Wait for this configuration; all others go on meanwhile.

        Raises:
            MachineError: no station is left that could run it.
        """
        while self.found is None:
            self._fleet.wait()
        return self.found


class FleetMeasurement:
    """Submit all configurations, then take each one's result.

    An answer is in the journal as soon as it has come, under the name that ``Measurement`` gives it: either
    goes on where the other stopped. A configuration that crashed or ran out of time has its result, and is
    not tried again; one whose station was lost runs elsewhere, at most ``MOST_LOSSES`` times.

    Args:
        target: where to run what is submitted without a target of its own.
        crew: who runs it; closed with this.
        journal, deadlines, progress, steps, task, launch_environment: see ``Measurement``.
        preload: what every station imports first; by default what the configurations need that are there when
            the first station is engaged.

    Attributes:
        ran_at: name of the station by key, of what ran; the results themselves do not say.
    """

    def __init__(
        self,
        target: Target,
        crew: Crew[Any],
        *,
        journal: Journal | None = None,
        deadlines: Deadlines | None = None,
        progress: Observer | None = None,
        steps: int | None = None,
        task: str = TASK,
        preload: Sequence[str] | None = None,
        launch_environment: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.ran_at: dict[str, str] = {}
        self._target, self._crew, self._journal = target, crew, journal
        self._deadlines, self._progress, self._steps = deadlines, progress, steps
        self._task, self._preload, self._launch = task, preload, launch_environment
        self._pending: dict[str, FleetPending] = {}
        self._queues: dict[Kind, deque[FleetPending]] = {}
        self._engaged: set[Kind] = set()
        self._at: dict[Post, dict[str, FleetPending]] = {}
        self._asked: set[Post] = set()
        self._running: dict[Post, tuple[tuple[str, str], ...]] = {}
        self._finished = 0
        self._closed = False

    def __enter__(self) -> FleetMeasurement:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(
        self, config: StepConfig, *, record: bool = False, target: Target | None = None
    ) -> FleetPending:
        """Ask for a configuration; asking twice gives the same.

        Args:
            record, target: see ``Measurement.submit``; a target can be of any kind that the crew has.

        Raises:
            StoredDataError: the journal holds a malformed record for it.
            MachineError: nobody has the kind of station that it needs.
        """
        target = target or self._target
        key = result_key(config, target.device, self._steps, recorded=record)
        if not record and key not in self._pending and key + RECORDED in self._pending:
            key += RECORDED  # its peaks are the same
        if key in self._pending:
            return self._pending[key]
        pending = FleetPending(self, Item(key=key, config=config, target=target, record=record))
        if self._journal is not None and key in self._journal:
            pending.found = stored_result(self._journal, key)
            self._finished += 1
        else:
            kind = Kind.of(target)
            if kind not in self._queues:
                self._crew.offers(kind)
            self._queues.setdefault(kind, deque()).append(pending)
        self._pending[key] = pending
        return pending

    def key(self, config: StepConfig, target: Target | None = None) -> str:
        """Name of a result in the journal; ``Measurement``'s."""
        return result_key(config, (target or self._target).device, self._steps)

    def poll(self) -> None:
        """Let the stations go on without waiting for any."""
        self._turn(0.0)

    def wait(self, timeout: float | None = None) -> None:
        """Until something changes, or for so many seconds."""
        self._turn(timeout)

    def close(self) -> None:
        """End all stations and what they run. Idempotent; records already there stay."""
        self._closed = True
        self._crew.close()

    # -- one turn -----------------------------------------------------------------------------------------

    def _turn(self, timeout: float | None) -> None:
        if self._closed:
            raise MachineError("the fleet was closed before all its configurations had ended")
        try:
            self._engage()
            self._hand_out()
            self._show()
            found: list[tuple[FleetPending, RunResult]] = []
            for post, ending in self._crew.ended(timeout):
                found += self._take(post, ending)
            self._keep(found)
            self._hand_out()
            self._show()
        except BaseException:  # KeyboardInterrupt above all: nothing may outlive it
            self.close()
            raise

    def _engage(self) -> None:
        for kind, queue in self._queues.items():
            if queue and kind not in self._engaged:
                self._crew.engage(kind, self._setup(queue))
                self._engaged.add(kind)
            busy = any(at for post, at in self._at.items() if post.kind == kind)
            why = self._crew.complaint(kind) if queue or busy else None
            if why is not None:
                raise MachineError(
                    f"expected a station for {len(queue)} configurations more, found none left: {why}",
                    hint="the same command goes on where this one stopped, once there is one",
                )

    def _setup(self, queue: deque[FleetPending]) -> Setup:
        preload = self._preload
        if preload is None:
            compiled = any(methods.imports_compiler(each.config) for each in queue)
            preload = (*PRELOAD, *(PRELOAD_COMPILED if compiled else ()))
        return Setup(
            target=queue[0].target,
            task=self._task,
            preload=tuple(preload),
            deadlines=self._deadlines,
            launch_environment=self._launch,
            steps=self._steps,
            variables=variables(),
        )

    def _hand_out(self) -> None:
        posts = self._crew.ready()
        workers: Counter[Kind] = Counter()
        for post in posts:
            workers[post.kind] += post.workers
        ample = {kind for kind, queue in self._queues.items() if len(queue) > workers[kind]}
        for post in posts:
            if post in self._asked:
                continue
            at = self._at.setdefault(post, {})
            items = []
            for pending in self._next(post, at, ample=post.kind in ample):
                at[pending.item.key] = pending
                items.append(pending.item)
            if at:
                self._crew.begin(post, items, _PATIENCE)
                self._asked.add(post)

    def _next(self, post: Post, at: dict[str, FleetPending], *, ample: bool) -> list[FleetPending]:
        """What a station gets: what it can run, and as much again that waits there, so that it never waits
        for us; towards the end no more than it can run, so that others have some, too."""
        queue = self._queues.get(post.kind)
        if not queue or any(len(each.losses) >= _ALONE_FROM for each in at.values()):
            return []
        room = post.workers * (2 if ample else 1) - len(at)
        chosen: list[FleetPending] = []
        while queue and room > len(chosen):
            if len(queue[0].losses) >= _ALONE_FROM:
                if not at and not chosen:
                    chosen.append(queue.popleft())
                break
            chosen.append(queue.popleft())
        return chosen

    # -- what comes back ----------------------------------------------------------------------------------

    def _take(self, post: Post, ending: Report | Unfit | Lost) -> Iterator[tuple[FleetPending, RunResult]]:
        """What has its result now; what has none goes back into the queue."""
        self._asked.discard(post)
        at = self._at.get(post, {})
        if isinstance(ending, Report):
            self._running[post] = ending.running
            for key, body in ending.answers:
                pending = at.pop(key, None)
                if pending is not None:
                    self.ran_at[key] = post.name
                    yield pending, _read(pending, body)
            return
        self._at.pop(post, None)
        self._running.pop(post, None)
        self._crew.dismiss(post)
        for pending in reversed(at.values()):
            if isinstance(ending, Lost):
                pending.losses.append(ending.why)
            if len(pending.losses) >= MOST_LOSSES:
                yield pending, _given_up(pending)
            elif len(pending.losses) >= _ALONE_FROM:
                self._queues[post.kind].append(pending)
            else:
                self._queues[post.kind].appendleft(pending)

    def _keep(self, ended: Sequence[tuple[FleetPending, RunResult]]) -> None:
        """On disk together: to wait for the disk once a result would be what holds a large fleet up."""
        if self._journal is not None:
            # Other outcomes may be a machine's bad day, so a resumed run tries them again.
            answers = {
                pending.item.key: msgspec.to_builtins(found)
                for pending, found in ended
                if found.outcome.is_answer
            }
            self._journal.append_all(answers)
        for pending, found in ended:
            pending.found = found
        self._finished += len(ended)

    def _show(self) -> None:
        if self._progress is not None:
            running = [each for states in self._running.values() for each in states]
            self._progress(self._finished, len(self._pending), running)


def _read(pending: FleetPending, body: bytes) -> RunResult:
    config = pending.config
    try:
        found = to_typed(json.loads(body), RunResult, what="result", where=config.id, hint=None)
    except (ValueError, StoredDataError) as error:
        return _crashed(pending, f"the station returned no result: {error}")
    if found.config != config or found.device != pending.target.device:
        return _crashed(pending, "the station ran another configuration, or on another device")
    return found


def _given_up(pending: FleetPending) -> RunResult:
    ends = "\n".join(dict.fromkeys(pending.losses))
    return _crashed(pending, f"{len(pending.losses)} stations were lost while they ran it:\n{ends}")


def _crashed(pending: FleetPending, why: str) -> RunResult:
    return RunResult(
        config=pending.config,
        provenance=Provenance.UNKNOWN,
        device=pending.target.device,
        environment=Environment(),
        outcome=Outcome.CRASHED,
        detail=why,
    )
