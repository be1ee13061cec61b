"""Searches that go on side by side, as far as the workers reach."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol

from nanocheck.core.config import StepConfig
from nanocheck.core.result import Record

#: Asks for runs of several configurations at once and is sent their records, in that order.
Search = Generator[Sequence[StepConfig], Sequence[Record], Any]


class Pending(Protocol):
    @property
    def record(self) -> Record | None: ...


class Measuring(Protocol):
    """What is used of ``Measurement``."""

    def submit(self, config: StepConfig) -> Pending: ...

    def wait(self) -> None: ...


def drive(measuring: Measuring, searches: Iterable[Search]) -> None:
    """Run all searches to their ends; each goes on as soon as what it asked for is there.

    Raises:
        MachineError: no process can be started here.
    """
    waiting: list[tuple[Search, list[Pending]]] = []
    for search in searches:
        _resume(measuring, search, None, waiting)
    while waiting:
        ready = [each for each in waiting if all(one.record is not None for one in each[1])]
        waiting = [each for each in waiting if each not in ready]
        for search, pending in ready:
            _resume(measuring, search, [one.record for one in pending if one.record is not None], waiting)
        if waiting and not ready:
            measuring.wait()


def _resume(
    measuring: Measuring,
    search: Search,
    records: Sequence[Record] | None,
    waiting: list[tuple[Search, list[Pending]]],
) -> None:
    try:
        configs = next(search) if records is None else search.send(records)
    except StopIteration:
        return
    waiting.append((search, [measuring.submit(each) for each in configs]))
