"""Which allocations of two runs are the same place of the program, although its lines have moved.

A stack is known by functions and texts of lines, never by their numbers: lines above it come and go. What
nothing pairs by its whole stack is tried by less and less of it, and each pair says by what it was found.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nanocheck.core.stacks import CodeFrame, StackHolding


class Match(StrEnum):
    """By what two allocations are one, the strictest first."""

    STACK = "stack"  # the same calls: functions and texts of their lines
    LINE = "line"  # the same line of the same function, called from elsewhere
    GROUP = "other group"  # the same line, and what it makes counts as something else now
    FILE = "other file"  # the same function and text in another file
    FUNCTION = "edited line"  # the same function of the same file, the text is another
    SIZE = "same size"  # other code makes as much memory of this group
    ONLY_BEFORE = "gone"
    ONLY_AFTER = "new"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One place of both sides, or of one; ``by``: how the two were found to be one."""

    before: StackHolding | None
    after: StackHolding | None
    by: Match


def pairs(before: Sequence[StackHolding], after: Sequence[StackHolding]) -> list[Pair]:
    """Every holding of both sides in exactly one pair."""
    found: list[Pair] = []
    left, right = list(before), list(after)
    for by, key in _KEYS:
        for old, new in _equal(left, right, key):
            found.append(Pair(before=old, after=new, by=by))
            _drop(left, old)
            _drop(right, new)
    found += [Pair(before=each, after=None, by=Match.ONLY_BEFORE) for each in left]
    return found + [Pair(before=None, after=each, by=Match.ONLY_AFTER) for each in right]


def file_of(frame: CodeFrame) -> str:
    """The file of a frame, without the number of its line."""
    return frame.where.rpartition(":")[0]


def line_number(frame: CodeFrame) -> int:
    """0 where none is known."""
    number = frame.where.rpartition(":")[2]
    return int(number) if number.isascii() and number.isdigit() else 0


def _equal(
    left: Sequence[StackHolding],
    right: Sequence[StackHolding],
    key: Callable[[StackHolding], Hashable | None],
) -> list[tuple[StackHolding, StackHolding]]:
    by_key: dict[Hashable, tuple[list[StackHolding], list[StackHolding]]] = defaultdict(lambda: ([], []))
    for side, some in enumerate((left, right)):
        for each in some:
            known = key(each)
            if known is not None:
                by_key[known][side].append(each)
    return [pair for olds, news in by_key.values() for pair in _in_order(olds, news)]


def _in_order(
    olds: list[StackHolding], news: list[StackHolding]
) -> Iterable[tuple[StackHolding, StackHolding]]:
    """One by one: first those that hold the same, then the texts that are nearest, then as they stand."""
    olds, news = sorted(olds, key=_position), sorted(news, key=_position)
    if len(olds) == len(news) == 1:
        return [(olds[0], news[0])]
    found = []
    if len(olds) != len(news):
        for old in list(olds):
            same = next((new for new in news if _held(new) == _held(old)), None)
            if same is not None:
                found.append((old, same))
                _drop(olds, old)
                _drop(news, same)
    likeness = sorted(
        ((-_likeness(old, new), at, to) for at, old in enumerate(olds) for to, new in enumerate(news)),
    )
    taken: tuple[set[int], set[int]] = (set(), set())
    for _, at, to in likeness:
        if at not in taken[0] and to not in taken[1]:
            taken[0].add(at)
            taken[1].add(to)
            found.append((olds[at], news[to]))
    return found


def _drop(some: list[StackHolding], one: StackHolding) -> None:
    """Itself, not an equal one."""
    del some[next(at for at, each in enumerate(some) if each is one)]


def _position(one: StackHolding) -> tuple[int, ...]:
    return tuple(line_number(frame) for frame in one.frames)


def _held(one: StackHolding) -> tuple[int, int, int]:
    return one.bytes, one.most_bytes, one.count


def _likeness(old: StackHolding, new: StackHolding) -> float:
    was, now = (one.frames[0].line or "" if one.frames else "" for one in (old, new))
    return 1.0 if was == now else difflib.SequenceMatcher(None, was, now, autojunk=False).ratio()


def _by_stack(one: StackHolding) -> Hashable:
    return one.group, *((file_of(each), each.function, each.line) for each in one.frames)


def _by_line(one: StackHolding) -> Hashable | None:
    own = _by_line_alone(one)
    return None if own is None else (one.group, own)


def _by_line_alone(one: StackHolding) -> Hashable | None:
    frame = one.frames[0] if one.frames else None
    return None if frame is None or frame.line is None else (file_of(frame), frame.function, frame.line)


def _by_text(one: StackHolding) -> Hashable | None:
    frame = one.frames[0] if one.frames else None
    return None if frame is None or frame.line is None else (one.group, frame.function, frame.line)


def _by_function(one: StackHolding) -> Hashable | None:
    frame = one.frames[0] if one.frames else None
    return None if frame is None else (one.group, file_of(frame), frame.function)


def _by_size(one: StackHolding) -> Hashable | None:
    return one.group, *_held(one)


_KEYS: tuple[tuple[Match, Callable[[StackHolding], Hashable | None]], ...] = (
    (Match.STACK, _by_stack),
    (Match.LINE, _by_line),
    (Match.GROUP, _by_line_alone),
    (Match.FILE, _by_text),
    (Match.FUNCTION, _by_function),
    (Match.SIZE, _by_size),
)
