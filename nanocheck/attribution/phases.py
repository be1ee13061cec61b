"""Which phase of which step every event belongs to.

Backward, optimizer, evaluation and checkpoint have marks at both ends. What lies between is read from the
stacks: memory that was asked for inside a module's call is forward; before the first forward it is build,
between a backward and the next forward it belongs to the optimizer's phase (unscaling, clipping, clearing
gradients).
"""

from __future__ import annotations

from dataclasses import dataclass

from nanocheck.attribution.event_reader import Mark, Observation
from nanocheck.attribution.journal_entries import Frame

PHASES = ("build", "forward", "backward", "optimizer", "evaluation", "checkpoint")
_MODULE_CALL = ("_call_impl", "_wrapped_call_impl")


@dataclass(frozen=True, slots=True)
class Band:
    """Events ``first`` to ``last`` (inclusive) are one phase of one optimizer step (both count from 0)."""

    phase: str
    step: int
    first: int
    last: int
    where: Frame | None  # the script's line that began it, where a mark told it
    marked: bool  # between two marks, not only concluded from what is around it


def find_bands(seen: Observation) -> list[Band]:
    """All events of a process, cut into bands without gaps."""
    in_module = [
        any(name in _MODULE_CALL and file.endswith("module.py") for file, _, name in frames)
        for frames in seen.stacks
    ]
    cutter = _Cutter()
    marks = iter([*seen.marks, Mark("end", 1 << 62, None, {})])
    mark = next(marks)
    allocations = 0
    for index, (action, _, _, stack) in enumerate(seen.events):
        if action in "aS":
            # A segment is made for the allocation that follows it, so it counts as after the mark, too.
            while mark.allocations <= allocations:
                cutter.mark(mark, index)
                mark = next(marks)
            if 0 <= stack < len(in_module) and in_module[stack]:
                cutter.in_module(index)
        allocations += action == "a"
    while mark.what != "end":
        cutter.mark(mark, len(seen.events))
        mark = next(marks)
    return cutter.finish(len(seen.events))


class _Cutter:
    def __init__(self) -> None:
        self._bands: list[Band] = []
        self._outside = "build"  # the phase outside of marked ones
        self._inside: list[tuple[str, Frame | None]] = []  # marked phases, innermost last
        self._evaluating = False
        self._stepped = False
        self._step = 0
        self._first = 0
        self._where: Frame | None = None

    def _phase(self) -> str:
        return self._inside[-1][0] if self._inside else self._outside

    def _cut(self, index: int) -> None:
        if index > self._first:
            self._bands.append(
                Band(self._phase(), self._step, self._first, index - 1, self._where, bool(self._inside))
            )
            self._first = index
        self._where = None

    def in_module(self, index: int) -> None:
        if self._inside and self._inside[-1][0] == "optimizer":
            # ``optimizer.step(closure)``, as Lightning does it: forward and backward lie inside the step.
            self._cut(index)
            self._begin_step()
            self._inside.append(("forward", None))
            return
        wanted = "evaluation" if self._evaluating else "forward"
        if not self._inside and self._outside != wanted:
            self._cut(index)
            if wanted == "forward":
                self._begin_step()
            self._outside = wanted

    def _begin_step(self) -> None:
        if self._stepped:
            self._step += 1
            self._stepped = False

    def mark(self, mark: Mark, index: int) -> None:
        name, sign = mark.what[:-1], mark.what[-1:]
        if self._inside and self._inside[-1][0] == "forward":
            self._cut(index)
            self._inside.pop()
        if name == "evaluation":
            self._evaluating = sign == "+"
            if sign == "-" and self._outside == "evaluation" and not self._inside:
                self._cut(index)
                self._outside = "optimizer" if self._step or self._stepped else "build"
        elif sign == "+":
            if name == "backward" and not self._inside:
                self._before_backward(index)
            self._cut(index)
            self._inside.append((name, mark.where))
            self._where = mark.where
        elif sign == "-" and self._inside:
            self._cut(index)
            self._inside.pop()
            self._stepped |= name == "optimizer"
            if name in ("backward", "optimizer"):
                self._outside = "optimizer"

    def _before_backward(self, index: int) -> None:
        """What a backward follows was a forward, whatever mode the model was in."""
        if self._outside in ("optimizer", "build", "evaluation") and index > self._first:
            self._begin_step()
            self._outside = "forward"
        self._evaluating = False

    def finish(self, end: int) -> list[Band]:
        self._cut(end)
        return self._bands
