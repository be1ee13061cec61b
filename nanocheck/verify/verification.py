"""Case after case: the real card, then the virtual one or what was predicted of it, and what differs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec
from msgspec.structs import replace

from nanocheck.core.result import Outcome, Provenance
from nanocheck.verify.cases import Case
from nanocheck.verify.observed import Observed
from nanocheck.verify.predictions import Prediction, Predictions
from nanocheck.verify.record import Row, VerifyFile
from nanocheck.verify.sides import CASE_LIMIT_S
from nanocheck.verify.step_time import Modelled, StepTime

#: Called with the number of cases that are done, how many there are, and what runs now.
Show = Callable[[int, int, Sequence[tuple[str, str]]], None]

INTERRUPTED = "interrupted"
#: Less is not worth a start.
_LEAST_S = 5.0


class Card(Protocol):
    """Something that runs cases: a ``Side``."""

    def run(self, case: Case, limit_s: float) -> Observed:
        """What it did; a failure is an answer of its own kind."""
        ...

    def time(self, case: Case, limit_s: float) -> StepTime:
        """How long a step of a configuration takes, or why that is not known."""
        ...

    def model(self, case: Case, limit_s: float) -> Modelled | None:
        """What the model of time says of it; asked of the virtual card alone."""
        ...


class Clock:
    """How much time is left.

    Args:
        minutes: for everything. now: seconds on a clock that only goes forward; another one in tests.
    """

    def __init__(self, minutes: float, now: Callable[[], float] = time.monotonic) -> None:
        self.minutes = minutes
        self._now = now
        self._end = now() + minutes * 60

    @property
    def used_up(self) -> str:
        """Why a case is left out."""
        return f"the {self.minutes:g} minutes were used up (--minutes)"

    def limit_s(self) -> float | None:
        """For the next case on one side, in seconds; None where it is too late to start it."""
        left = self._end - self._now()
        return None if left < _LEAST_S else min(left, CASE_LIMIT_S)


def verify(
    cases: Sequence[Case],
    begun: VerifyFile,
    real: Card,
    virtual: Card | Predictions,
    *,
    clock: Clock,
    keep: Callable[[VerifyFile], None],
    show: Show,
) -> VerifyFile:
    """The whole file. An interruption ends it; what was found until then stays.

    Args:
        begun: without rows.
        keep: called with everything so far after each case.

    Raises:
        RequestError: a case is not the one that was predicted; before anything runs.
    """
    predicted = {case.id: virtual.find(case) for case in cases} if isinstance(virtual, Predictions) else {}
    rows: list[Row] = []
    stopped = False

    def so_far() -> VerifyFile:
        left = [Row(id=case.id, tries=case.tries, not_run=INTERRUPTED) for case in cases[len(rows) :]]
        return replace(begun, rows=(*rows, *left), complete=not left and not _out_of_time(rows, clock))

    for case in cases:
        try:
            show(len(rows), len(cases), [(case.id, "real")])
            seen, why = _run(case, real, clock)
            ours: Observed | None = None
            if case.id in predicted:
                ours, why = predicted[case.id].virtual, why or predicted[case.id].not_run
            elif seen is not None and not isinstance(virtual, Predictions):
                show(len(rows), len(cases), [(case.id, "virtual")])
                ours, why = _run(case, virtual, clock)
            rows.append(begun.row_of(case.id, case.tries, seen, ours, why))
        except KeyboardInterrupt:
            stopped = True
        keep(so_far())
        if stopped:
            return so_far()
    # After all memory: where the time does not suffice, this is what is left out.
    for number, case in enumerate(cases):
        limit = clock.limit_s()
        if not case.timed or limit is None or not _completed(rows[number].real):
            continue
        show(len(rows), len(cases), [(case.id, "timed")])
        try:
            rows[number] = replace(rows[number], time=real.time(case, limit))
        except KeyboardInterrupt:
            stopped = True
            rows[number] = replace(
                rows[number], time=StepTime(provenance=Provenance.UNKNOWN, refused=INTERRUPTED)
            )
        keep(so_far())
        if stopped:
            return so_far()
    for number, case in enumerate(cases):  # what only a card can say has been asked
        time_of = rows[number].time
        if time_of is None:
            continue
        show(len(rows), len(cases), [(case.id, "modelled")])
        try:
            before = predicted.get(case.id)
            modelled = _model(case, virtual, clock) if before is None else before.modelled
        except KeyboardInterrupt:
            return replace(so_far(), complete=False)
        if isinstance(modelled, Modelled):
            rows[number] = replace(rows[number], time=replace(time_of, modelled=modelled))
            keep(so_far())
    return so_far()


def _model(case: Case, virtual: Card | Predictions, clock: Clock) -> Modelled | msgspec.UnsetType:
    limit = clock.limit_s()
    if limit is None or isinstance(virtual, Predictions):
        return msgspec.UNSET
    return virtual.model(case, limit) or msgspec.UNSET


def _completed(seen: Observed | None) -> bool:
    return seen is not None and seen.outcome is Outcome.COMPLETED


def predict(cases: Sequence[Case], virtual: Card, *, clock: Clock, show: Show) -> tuple[Prediction, ...]:
    """The virtual side of all cases, as far as nobody interrupts it."""
    found: list[Prediction] = []
    try:
        for case in cases:
            show(len(found), len(cases), [(case.id, "virtual")])
            seen, why = _run(case, virtual, clock)
            found.append(Prediction(id=case.id, case_sha256=case.identity, virtual=seen, not_run=why))
        for number, case in enumerate(cases):
            if case.timed and _completed(found[number].virtual):
                show(len(found), len(cases), [(case.id, "modelled")])
                found[number] = replace(found[number], modelled=_model(case, virtual, clock))
    except KeyboardInterrupt:
        found += [
            Prediction(id=case.id, case_sha256=case.identity, not_run=INTERRUPTED)
            for case in cases[len(found) :]
        ]
    return tuple(found)


def _run(case: Case, side: Card, clock: Clock) -> tuple[Observed | None, str]:
    """What a side did, or why it was not asked."""
    if case.missing:
        return None, case.missing
    limit = clock.limit_s()
    if limit is None:
        return None, clock.used_up
    seen = side.run(case, limit)
    if seen.outcome is Outcome.TIMEOUT and limit < CASE_LIMIT_S:
        return None, clock.used_up  # it was not slow; it was begun too late
    return seen, ""


def _out_of_time(rows: Sequence[Row], clock: Clock) -> bool:
    return any(row.not_run == clock.used_up for row in rows)
