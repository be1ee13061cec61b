"""What a loop's body is made of once it is compiled: operations on a state, and who gets what they do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nanocheck.observe.later.arithmetic import UNKNOWN, Compute, truth

#: How a block ends: it goes on, the next iteration begins, or the loop is over.
ON, NEXT, OVER = range(3)


@dataclass(frozen=True, eq=False)
class Branch:
    """A branch that does more than bookkeeping.

    Attributes:
        file, line: of the first thing that is more.
        passed: in the iteration that runs now its test was made already.
        phases: what it is about by its names, see ``bookkeeping.phases``.
    """

    file: str
    line: int
    passed: bool
    phases: frozenset[str]


@dataclass(frozen=True, eq=False)
class Size:
    """A whole number that hangs on the counter and is handed on.

    Attributes:
        passed: see ``Branch``.
        counts: it is a number of iterations or elements, so that the first after none is more, too.
    """

    file: str
    line: int
    passed: bool
    text: str
    counts: bool


class Sink:
    """Gets what a body does."""

    def entered(self, branch: Branch) -> None:
        """A branch runs, or may."""

    def sized(self, size: Size, value: int) -> None:
        """A size is that."""


#: Runs one statement: the state, who gets it, whether it surely runs; how it ends.
Op = Callable[[dict[str, Any], Sink, bool], int]


@dataclass
class Body:
    """A compiled block.

    Attributes:
        weight: how many operations it is, about.
        sites: branches and sizes in it.
    """

    ops: list[Op] = field(default_factory=list)
    weight: int = 0
    sites: int = 0

    def run(self, state: dict[str, Any], sink: Sink, sure: bool = True) -> int:
        """Once over the state, which is changed."""
        for op in self.ops:
            how = op(state, sink, sure)
            if how != ON:
                return how
        return ON


def ends(how: int) -> Op:
    """A statement that leaves the block."""
    return lambda state, sink, sure: how if sure else ON


def sets(key: str, compute: Compute) -> Op:
    """An assignment."""

    def op(state: dict[str, Any], sink: Sink, sure: bool) -> int:
        state[key] = compute(state)
        return ON

    return op


def forgets(keys: Sequence[str]) -> Op:
    """Names whose values are not known from here on."""

    def op(state: dict[str, Any], sink: Sink, sure: bool) -> int:
        for each in keys:
            state[each] = UNKNOWN
        return ON

    return op


def and_on(inner: Body) -> Op:
    """A call: where it returns is nothing to the caller."""

    def op(state: dict[str, Any], sink: Sink, sure: bool) -> int:
        inner.run(state, sink, sure)
        return ON

    return op


def perhaps(inner: Body) -> Op:
    """A block that may run."""

    def op(state: dict[str, Any], sink: Sink, sure: bool) -> int:
        inner.run(state, sink, False)
        return ON

    return op


def decides(
    test: Compute, blocks: Sequence[Body], branches: Sequence[Branch | None], sets: Sequence[str]
) -> Op:
    """A branch: one of two blocks, or perhaps both."""

    def op(state: dict[str, Any], sink: Sink, sure: bool) -> int:
        which = truth(test(state))
        if which is not UNKNOWN:
            at = 0 if which else 1
            branch = branches[at]
            if branch is not None:
                sink.entered(branch)
            return blocks[at].run(state, sink, sure)
        for branch, block in zip(branches, blocks):
            if branch is not None:
                sink.entered(branch)
            block.run(state, sink, False)
        for each in sets:
            state[each] = UNKNOWN
        return ON

    return op
