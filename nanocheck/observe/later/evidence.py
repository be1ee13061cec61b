"""Which lines of the script run, and which sizes grow, in later steps only."""

from __future__ import annotations

import ast
import functools
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from nanocheck.observe.later.arithmetic import UNKNOWN, Arithmetic, dotted
from nanocheck.observe.later.compiler import Compiler, Running, assigned
from nanocheck.observe.later.loops import Counter, Names, counter_of, function_of, running_loops
from nanocheck.observe.later.operations import OVER, Branch, Sink, Size
from nanocheck.observe.library_frames import is_installed

if TYPE_CHECKING:
    from nanocheck.observe.later.loops import Loop

#: Iterations that are looked ahead, and operations altogether: about a second.
FURTHEST, _OPERATIONS = 100_000, 1_500_000


@dataclass(frozen=True)
class Finding:
    """See ``core.coverage.LaterStep``; ``at`` and ``most_at`` are iterations, from 0.

    Attributes:
        now: the largest value so far, of a size; value: then. most, most_at: 0 and ``None`` where the loop's
            end is not known.
        constant: it had one value so far. phases: of a branch.
        steps_each: optimizer steps an iteration, where that is known.
    """

    file: str
    line: int
    at: int
    text: str = ""
    now: int = 0
    value: int = 0
    most: int = 0
    most_at: int | None = 0
    constant: bool = True
    phases: frozenset[str] = frozenset()
    steps_each: float | None = None

    def entry(self) -> dict[str, Any]:
        """For the journal."""
        settled = 0 if self.most_at is None else max(self.at, self.most_at) + 1
        return {
            "where": f"{Path(self.file).name}:{self.line}",
            "iteration": self.at + 1,
            "text": self.text,
            "now": self.now,
            "value": self.value,
            "most": self.most,
            "steps": 0 if self.steps_each is None else math.ceil(settled * self.steps_each),
        }


@dataclass
class Noted:
    """What was seen of a loop where optimizers stepped.

    Attributes:
        first: whole numbers among the names that move, when it was first seen; last: the last time.
        furthest: the counter's furthest value.
        steps: optimizer steps in it.
        again: it was begun anew.
    """

    first: dict[str, int]
    last: dict[str, int] = field(default_factory=dict)
    furthest: int | None = None
    steps: int = 0
    again: bool = False


class _Watcher(Sink):
    """Sorts what a body does into what was seen and what comes."""

    def __init__(self) -> None:
        self.seen: set[Branch] = set()
        self.later: dict[Branch, int] = {}
        self.sizes: dict[Size, list[int]] = {}  # least, most so far; iteration and value; iteration and most
        self.iteration = 0
        self.is_past = True
        self.ended = False  # the loop's end was reached
        self.is_split = False  # in this iteration, what was passed is past

    def entered(self, branch: Branch) -> None:
        if self.is_past or (self.is_split and branch.passed):
            self.seen.add(branch)
        elif branch not in self.seen:
            self.later.setdefault(branch, self.iteration)

    def sized(self, size: Size, value: int) -> None:
        found = self.sizes.get(size)
        if self.is_past or (self.is_split and size.passed):
            if found is None:
                self.sizes[size] = [value, value, -1, 0, -1, 0]
            else:
                found[0], found[1] = min(found[0], value), max(found[1], value)
        elif found is not None and value > max(found[1], found[5] if found[4] >= 0 else found[1]):
            if found[2] < 0:
                found[2:4] = [self.iteration, value]
            found[4:6] = [self.iteration, value]

    def findings(self) -> Iterator[Finding]:
        for branch, at in self.later.items():
            yield Finding(file=branch.file, line=branch.line, at=at, phases=branch.phases)
        for size, (least, now, at, value, most_at, most) in self.sizes.items():
            if at >= 0 and (now > 0 or size.counts):
                yield Finding(
                    file=size.file,
                    line=size.line,
                    at=at,
                    text=size.text,
                    now=now,
                    value=value,
                    most=most if self.ended else 0,
                    most_at=most_at if self.ended else None,
                    constant=least == now,
                )


def look_ahead(
    loop: Loop,
    before: list[ast.stmt],
    running: list[Running],
    noted: Noted,
    counter: Counter | None,
    *,
    length: int | None = None,
) -> tuple[list[Finding], int]:
    """What the loop does in iterations to come that it has not done so far; and how many it has done.

    Args:
        before: statements of the loop's function. running: its frame, and those that it called. noted: where
            optimizers stepped.
        counter: of its ``for``. ``None``: a name that it adds to counts, which is not set back where the loop
            begins anew. length: then, of all its rounds together, where that is known.
    """
    names, line, moving = running[0].names, running[0].line, moving_names(loop)
    own = counter_of(loop, names)
    body = Compiler(moving, {own.name} if own else set(), loop.body, running).block(loop.body)
    unknown = set() if counter is None or not noted.again else moving
    if counter is None and own is not None:
        unknown = {own.name}
    state: dict[str, Any] = {
        each: UNKNOWN if each in unknown else _initial(each, loop, before, names, noted) for each in moving
    }
    place = _Place.of(loop, counter, names, line, noted)
    if not body.sites or place is None:
        return [], 0
    test = Arithmetic(moving, names).compute(loop.test) if isinstance(loop, ast.While) else None
    watcher, done = _Watcher(), 0
    for iteration in range(min(FURTHEST, _OPERATIONS // max(body.weight, 1))):
        if counter is not None:
            state[counter.name] = counter.start + iteration * counter.step
        over = iteration == (length if counter is None else counter.length)
        if over or (test is not None and test(state) is False):
            watcher.ended = True
            break
        if watcher.is_past and place.is_now(iteration, state):
            watcher.is_past, done = False, iteration
            watcher.is_split = place.began_before
        watcher.iteration = iteration
        if body.run(state, watcher) == OVER:
            watcher.ended = True
            break
        watcher.is_split = False
    return list(watcher.findings()), done


@functools.lru_cache(maxsize=256)
def moving_names(loop: Loop) -> set[str]:
    """All that an iteration may set."""
    head: ast.AST = loop.test if isinstance(loop, ast.While) else loop.target
    return assigned([head, *loop.body])


def _initial(name: str, loop: Loop, before: list[ast.stmt], names: Names, noted: Noted) -> Any:
    """Its value where the loop began: what was assigned before it, else what it was at the first step."""
    last: ast.Assign | ast.AnnAssign | ast.AugAssign | None = None
    for statement in before:
        for each in ast.walk(statement):
            if isinstance(each, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and each.lineno < loop.lineno:
                targets = each.targets if isinstance(each, ast.Assign) else [each.target]
                if name in map(dotted, targets) and (last is None or each.lineno > last.lineno):
                    last = each
    if last is not None and last.value is not None and not isinstance(last, ast.AugAssign):
        value = Arithmetic(moving_names(loop), names).compute(last.value)({})
        if type(value) is int:
            return value
    return noted.first.get(name, UNKNOWN)


@dataclass(frozen=True)
class _Place:
    """Which iteration runs now.

    Attributes:
        iteration: by its number, where the loop has a counter. name, value: else by what a name is when it
            begins.
        began_before: an optimizer has already stepped in it.
    """

    iteration: int | None
    name: str
    value: int
    began_before: bool

    @classmethod
    def of(cls, loop: Loop, counter: Counter | None, names: Names, line: int, noted: Noted) -> _Place | None:
        name, grows, at = (counter.name, 0, 0) if counter is not None else _grown(loop)
        now = names(name) if name else UNKNOWN
        if type(now) is not int:
            return None
        if counter is None:
            begins = now - grows if at < line else now
            return cls(None, name, begins, noted.last.get(name) == now)
        iteration = (now - counter.start) // counter.step
        if noted.again and noted.furthest is not None:  # it went further the last time
            iteration = max(iteration, (noted.furthest - counter.start) // counter.step + 1)
        return cls(iteration, name, now, noted.last.get(name) == now)

    def is_now(self, iteration: int, state: dict[str, Any]) -> bool:
        if self.iteration is not None:
            return iteration >= self.iteration
        return bool(state[self.name] == self.value)


def _grown(loop: Loop) -> tuple[str, int, int]:
    """The first name to which each iteration adds a number, the number, and the line; no name: none."""
    for each in loop.body:
        if isinstance(each, ast.AugAssign) and isinstance(each.op, (ast.Add, ast.Sub)):
            number = each.value.value if isinstance(each.value, ast.Constant) else 0
            if type(number) is int and number:
                return dotted(each.target), number if isinstance(each.op, ast.Add) else -number, each.lineno
    return "", 0, 0


class LaterSteps:
    """Of the loops on this thread's stack.

    Args:
        libraries: folders whose files are not the script's own.
    """

    def __init__(self, libraries: tuple[str, ...]) -> None:
        self._libraries = (*(f"{each}/" for each in libraries), "<")
        self._noted: dict[tuple[CodeType, int], Noted] = {}

    def optimizer_stepped(self) -> None:
        """Remember where counters are."""
        for frame in self._frames():
            names: Names | None = None
            for loop in running_loops(frame)[0]:
                names = names or Names(frame)
                numbers = names.numbers(moving_names(loop))
                noted = self._noted.setdefault((frame.f_code, loop.lineno), Noted(first=numbers))
                counter = counter_of(loop, names)
                noted.steps += 1
                noted.last = numbers
                if counter is not None and counter.name in numbers:
                    now = numbers[counter.name]
                    furthest = now if noted.furthest is None else noted.furthest
                    back = (now - furthest) * counter.step < 0
                    noted.again |= back
                    noted.furthest = furthest if back else now

    def findings(self) -> list[Finding]:
        """Where this is called the script is about to end; the earliest first."""
        found: dict[tuple[str, int, str], Finding] = {}
        running: list[Running] = []
        nest: list[tuple[list[Running], Loop, list[ast.stmt], Noted]] = []
        for frame in self._frames():
            code = frame.f_code
            running = [
                Running(code.co_filename, frame.f_lineno, Names(frame), function_of(code)),
                *running,
            ]
            loops, before = running_loops(frame)
            for loop in reversed(loops):
                noted = self._noted.get((code, loop.lineno))
                if noted is not None:
                    nest.append((running, loop, before, noted))
        rounds: int | None = 1  # of all loops further out
        for at, (inner, loop, before, noted) in enumerate(reversed(nest)):
            counter = counter_of(loop, inner[0].names)
            own = None if counter is None else counter.length
            rounds = None if rounds is None or own is None else rounds * own
            ways = [(counter, own)] + [(None, rounds)] * (at > 0 and counter is not None)
            for way, length in ways:
                several, done = look_ahead(loop, before, inner, noted, way, length=length)
                a_step = noted.steps / done if done and not (way and noted.again) else None
                for each in several:
                    found.setdefault((each.file, each.line, each.text), replace(each, steps_each=a_step))
        return sorted(found.values(), key=lambda each: each.at)

    def _frames(self) -> Iterator[FrameType]:
        """Of the script's own code, the innermost first."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            file = frame.f_code.co_filename
            if not file.startswith(self._libraries) and not is_installed(file):
                yield frame
            frame = frame.f_back
