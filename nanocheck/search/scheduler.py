"""Searches that go on side by side, as far as the workers reach: of configurations and of commands."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Question = TypeVar("Question", contravariant=True)
Reply = TypeVar("Reply", covariant=True)

#: Yields what to run at once and is sent what came out, in that order.
Search = Generator[Sequence[Asked], Sequence[Answer], Any]


class Pending(Protocol[Reply]):
    """Something that was submitted; ``found`` is ``None`` until it has ended."""

    @property
    def found(self) -> Reply | None: ...


class Runner(Protocol[Question, Reply]):
    """What runs things: ``measure.configurations.Measurement``, ``measure.background_run.BackgroundRuns``."""

    def submit(self, question: Question, /) -> Pending[Reply]: ...

    def wait(self) -> None:
        """Until something changes."""
        ...


class _Waiting(Generic[Asked, Answer]):
    """A search, and what it waits for."""

    def __init__(self, search: Search[Asked, Answer], pending: list[Pending[Answer]]) -> None:
        self.search, self.pending = search, pending

    @property
    def answers(self) -> list[Answer] | None:
        """Everything it waits for; ``None`` while anything is missing."""
        found = [each.found for each in self.pending]
        there = [each for each in found if each is not None]
        return there if len(there) == len(found) else None


def drive(runner: Runner[Asked, Answer], searches: Iterable[Search[Asked, Answer]]) -> None:
    """Run all searches to their ends; each goes on as soon as what it asked for is there.

    Raises:
        MachineError: no process can be started here.
    """
    waiting: list[_Waiting[Asked, Answer]] = []

    def resume(search: Search[Asked, Answer], answers: list[Answer] | None) -> None:
        try:
            asked = next(search) if answers is None else search.send(answers)
        except StopIteration:
            return
        waiting.append(_Waiting(search, [runner.submit(each) for each in asked]))

    for search in searches:
        resume(search, None)
    while waiting:
        ready = [(each, each.answers) for each in waiting if each.answers is not None]
        for each, answers in ready:
            waiting.remove(each)
            resume(each.search, answers)
        if waiting and not ready:
            runner.wait()
