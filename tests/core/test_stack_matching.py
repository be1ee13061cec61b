"""The same place of two programs is found although its line has moved, and only what changed is told."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st
from made_up import result

from nanocheck.core.run_diff import diff
from nanocheck.core.stack_matching import Match, Pair, pairs
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.verdict import JudgedRun

#: Few, so that the same line stands twice in one function.
_TEXTS = ("x = self.norm(x)", "x = x + self.mlp(x)", "logits = self.head(x)", "return loss")


@dataclass(frozen=True)
class Line:
    """A line of a program; ``held``: bytes that it holds at the peak, and at the most."""

    function: str
    text: str
    held: tuple[int, int] | None = None


def _line(function: str) -> st.SearchStrategy[Line]:
    sizes = st.integers(1, 1 << 34)
    held = st.none() | st.tuples(sizes, sizes).map(lambda both: (min(both), max(both)))
    return st.builds(Line, st.just(function), st.sampled_from(_TEXTS), held)


@st.composite
def programs(draw: st.DrawFn) -> list[Line]:
    """A few functions, one after the other; at least one line holds something."""
    names = draw(st.lists(st.sampled_from(["forward", "step", "build"]), min_size=1, unique=True))
    found = [line for name in names for line in draw(st.lists(_line(name), min_size=1, max_size=6))]
    return [*found, Line(names[-1], "model.cuda()", (1 << 20, 1 << 20))]


PROGRAMS = programs()
COMMENT = Line("", "# the loss wants more digits")


def holdings(program: list[Line], caller: int = 7) -> list[StackHolding]:
    """What the program's lines hold, each called from one line of another file."""
    outer = CodeFrame(where=f"train.py:{caller}", function="<module>", line="loss = model(x)")
    return [
        StackHolding(
            bytes=line.held[0],
            most_bytes=line.held[1],
            count=1,
            group="activations",
            frames=(CodeFrame(where=f"model.py:{number}", function=line.function, line=line.text), outer),
        )
        for number, line in enumerate(program, 1)
        if line.held is not None
    ]


def judged(held: list[StackHolding]) -> JudgedRun:
    allocated = sum(each.bytes for each in held)
    return JudgedRun.of(result(stacks=tuple(held), allocated_bytes=allocated, reserved_bytes=1 << 30))


def with_comments(program: list[Line], places: list[int]) -> list[Line]:
    for place in sorted(places, reverse=True):
        program = [*program[: place % (len(program) + 1)], COMMENT, *program[place % (len(program) + 1) :]]
    return program


@given(PROGRAMS, st.lists(st.integers(0, 30), max_size=6), st.integers(1, 500))
def test_blank_lines_and_comments_change_nothing(program: list[Line], places: list[int], caller: int) -> None:
    before, after = holdings(program), holdings(with_comments(program, places), caller)
    found = diff(judged(before), judged(after))
    assert (found.changes, found.elsewhere, found.moved, found.worse) == ((), (), False, False)
    assert found.suspect is None


@given(PROGRAMS, st.integers(0, 30), st.lists(st.integers(0, 30), max_size=3), st.integers(1 << 20, 1 << 34))
def test_a_forgotten_copy_is_named_with_its_line_and_bytes(
    program: list[Line], at: int, places: list[int], size: int
) -> None:
    at %= len(program)
    copy = Line(program[at].function, "logits = logits.float()", (size, size))
    edited = with_comments([*program[: at + 1], copy, *program[at + 1 :]], places)
    found = diff(judged(holdings(program)), judged(holdings(edited)))
    (change,) = found.changes
    where = f"model.py:{edited.index(copy) + 1}"
    assert (change.match, change.where, change.line) == (Match.ONLY_AFTER, where, copy.text)
    assert (change.before_bytes, change.change_bytes) == (0, size)
    assert (found.change_bytes, found.explained_bytes, found.unexplained_bytes) == (size, size, 0)
    assert found.suspect == change
    assert found.worse


@given(PROGRAMS, PROGRAMS)
def test_every_byte_of_both_sides_is_in_one_pair(one: list[Line], other: list[Line]) -> None:
    before, after = holdings(one), holdings(other)
    found = pairs(before, after)
    assert sorted(id(each.before) for each in found if each.before) == sorted(map(id, before))
    assert sorted(id(each.after) for each in found if each.after) == sorted(map(id, after))
    told = diff(judged(before), judged(after))
    assert told.explained_bytes == sum(each.bytes for each in after) - sum(each.bytes for each in before)
    assert told.unexplained_bytes == 0


def _one(
    where: str, text: str, *, function: str = "forward", group: str = "activations", size: int = 8
) -> StackHolding:
    frames = (CodeFrame(where=where, function=function, line=text),)
    return StackHolding(bytes=size, most_bytes=size, count=1, group=group, frames=frames)


def _only(before: StackHolding, after: StackHolding) -> Match:
    found = pairs([before], [after])
    assert len(found) == 1 or {each.by for each in found} == {Match.ONLY_AFTER, Match.ONLY_BEFORE}
    return found[0].by


def test_by_how_little_two_places_are_one() -> None:
    base = _one("model.py:3", "y = x * 2")
    assert _only(base, _one("model.py:9", "y = x * 2", size=99)) is Match.STACK
    assert _only(base, _one("model.py:9", "y = x * 2", group="logits and loss")) is Match.GROUP
    assert _only(base, _one("net/model.py:3", "y = x * 2", size=99)) is Match.FILE
    assert _only(base, _one("model.py:3", "y = x.double() * 2", size=16)) is Match.FUNCTION
    assert _only(base, _one("other.py:3", "z = f(x)", function="g")) is Match.SIZE
    assert _only(base, _one("other.py:3", "z = f(x)", function="g", size=16)) is Match.ONLY_BEFORE


def test_an_untouched_line_is_looked_at_first_where_new_ones_hold_next_to_nothing() -> None:
    def suspect(new: int) -> str | None:
        before = [_one("m.py:1", "x = f(x)", size=1)]
        after = [_one("m.py:1", "x = f(x)", size=1 + 2000), _one("m.py:2", "y = 1", size=new)]
        found = diff(judged(before), judged(after)).suspect
        return found and found.line

    assert suspect(100) == "y = 1"
    assert suspect(99) == "x = f(x)"


def test_an_edited_line_is_held_against_the_text_that_is_nearest() -> None:
    before = [_one("m.py:1", "a = relu(x)", size=1), _one("m.py:2", "b = self.head(a)", size=2)]
    after = [_one("m.py:1", "b = self.head(a).float()", size=4), _one("m.py:2", "a = relu(x + 1)", size=1)]
    found = {pair.after.frames[0].line: pair for pair in pairs(before, after) if pair.after}
    assert found["b = self.head(a).float()"] == Pair(before=before[1], after=after[0], by=Match.FUNCTION)
    assert found["a = relu(x + 1)"] == Pair(before=before[0], after=after[1], by=Match.FUNCTION)
