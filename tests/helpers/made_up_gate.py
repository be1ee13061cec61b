"""Checks of changes that nobody made, for the tests of what is written about them."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from made_up import oom_result, peaks, result

from nanocheck.core.allocation_change import AllocationChange
from nanocheck.core.gate import Gate, GateRow, Missing
from nanocheck.core.result import Holding, RunResult
from nanocheck.core.run_diff import diff
from nanocheck.core.stack_matching import Match, Pair
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun


def as_command(
    run: RunResult, command: tuple[str, ...] = ("python", "train.py"), **changes: object
) -> JudgedRun:
    """A made-up result, as of a command."""
    return JudgedRun.of(msgspec.structs.replace(run, config=None, command=command, **changes))


def holding(size: int, where: str, line: str, group: str = "logits and loss") -> StackHolding:
    frame = CodeFrame(where=where, function="forward", line=line)
    return StackHolding(bytes=size, most_bytes=size, count=1, group=group, frames=(frame,))


def change(size: int, where: str, line: str) -> AllocationChange:
    """What only the head has."""
    return AllocationChange.of(Pair(before=None, after=holding(size, where, line), by=Match.ONLY_AFTER))


def gate(
    text: Callable[[str], str] = lambda usual: usual, *, rows: int = 1, oom: bool = False, changes: int = 1
) -> Gate:
    """A pull request that made something grow.

    Args:
        text: makes each of the texts that are not ours from its usual one.
        changes: how many lines grew.
    """
    before = as_command(result())
    after = as_command(oom_result() if oom else result(peaks=peaks(8001 * MIB)))
    plain = diff(before, after)
    largest = Holding(bytes=MIB, count=1, group="logits", where=text("a.py:1"), line=text("y"))
    found = []
    for number in range(rows):
        more = tuple(
            change((index + 1) * MIB, text(f"train.py:{index + 1}"), text("copy = logits.float()"))
            for index in range(changes)
        )
        row = GateRow.of(
            after,
            diff=msgspec.structs.replace(plain, changes=more, known=True),
            no_base="",
            reproduce=("nanocheck", "run", "--", text("train.py")),
        )
        ours = {"id": f"python {text('train.py')}", "gpu": text(f"card{number}"), "card": text("A card")}
        found.append(msgspec.structs.replace(row, largest=(largest,), where=text("b.py:7"), **ours))
    return Gate(
        key="abc123",
        nanocheck="0.2.0",
        date=text("2026-01-01 00:00 UTC"),
        head=text("2" * 40),
        base=text("1" * 40),
        base_note=text("asked for"),
        folder=text("folder"),
        failed=(text("it grew"),),
        rows=tuple(found),
        missing=(Missing(id=text("pytest"), gpu=text("h100"), why=text("no result")),),
        notes=(text("a note"),),
    )
