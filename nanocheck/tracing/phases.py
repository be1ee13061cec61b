"""Which phase and which part of the step each range of the trace belongs to, by the marks that were set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from nanocheck.tracing.operators import Operator

#: As ``observe/recording/execution_trace.py`` names them.
MARK = "nanocheck:mark:"
PART = "part:"


@dataclass
class Stretch:
    """Ranges of one part, each with its phase."""

    name: str
    times: int = 1
    ranges: list[tuple[Operator, str]] = field(default_factory=list)


def stretches(operators: Sequence[Operator], launching: Sequence[Operator]) -> list[Stretch]:
    """The parts in order, of the ranges that launch.

    Between a backward and the optimizer's step lies what belongs to the update (unscaling, clipping), before
    a backward lies its forward.
    """
    chosen = {each.id for each in launching}
    found = [Stretch("step")]
    for each, phase in _phases(operators):
        if each.name.startswith(MARK + PART):
            name, _, times = each.name.removeprefix(MARK + PART).rpartition(":")
            found.append(Stretch(name, int(times)))
        elif each.id in chosen:
            found[-1].ranges.append((each, phase))
    return [each for each in found if each.ranges]


def _phases(operators: Sequence[Operator]) -> Iterator[tuple[Operator, str]]:
    marks = [(each.id, each.name.removeprefix(MARK)) for each in operators if each.name.startswith(MARK)]
    marks = [each for each in marks if not each[1].startswith(PART)]
    following = iter([*marks, (1 << 62, "end")])
    at, what = next(following)
    inside: list[str] = []
    evaluating = False
    for each in operators:
        while each.id >= at:
            name, sign = what[:-1], what[-1]
            if name == "evaluation":
                evaluating = sign == "+"
            elif sign == "+":
                inside.append(name)
            elif inside:
                inside.pop()
            at, what = next(following)
        if inside:
            yield each, inside[-1]
        elif evaluating:
            yield each, "evaluation"
        else:
            yield each, "optimizer" if what == "optimizer+" else "forward"
