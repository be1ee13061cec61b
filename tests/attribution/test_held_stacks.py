"""What the stacks of a program hold: all that is alive is in it, and the most that each ever held."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nanocheck.attribution.event_reader import Mark, Observation
from nanocheck.attribution.held_stacks import HeldStacks
from nanocheck.attribution.journal_entries import Start
from nanocheck.attribution.process_figures import Figures

_AT = 1 << 40
_SEGMENT = 1 << 30
_ROOM = 1 << 24
SCRIPT = "/project/train.py"


def observation(steps: list[tuple[int, int]], stacks: int) -> Observation:
    """A process whose allocations come and go, each at an address of its own.

    Args:
        steps: (stack, 512-byte blocks) allocates; (-1, n) frees the n-th of those that live.
    """
    seen = Observation(start=Start(pid=1, folder="/project", libraries=("/torch", "/observe", "/lib")))
    seen.stacks = [
        ((SCRIPT, 10 + number, "step"), ("/torch/x.py", 1, "f"), (SCRIPT, 3, "<module>"))
        for number in range(stacks)
    ]
    live: list[tuple[int, int]] = []
    for number, (stack, what) in enumerate(steps):
        if stack < 0:
            if live:
                address, size = live.pop(what % len(live))
                seen.events += [("r", address, size, -1), ("f", address, size, -1)]
            continue
        address, size = _AT + number * _ROOM, what * 512
        seen.events += [("S", address, size, -1), ("a", address, size, stack)]
        live.append((address, size))
    return seen


_STEPS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(1, 4096)) | st.tuples(st.just(-1), st.integers(0, 50)),
    min_size=1,
    max_size=60,
)


@given(_STEPS)
@settings(max_examples=50)
def test_all_that_lives_is_held_and_the_most_is_the_most(steps: list[tuple[int, int]]) -> None:
    figures = Figures.of(observation(steps, 6))
    held = HeldStacks(figures)
    levels: dict[str, list[int]] = {}
    for event, (allocated, _) in enumerate(figures.replay.levels):
        now = held.at(event)
        assert sum(each.bytes for each in now) == allocated
        assert sum(each.count for each in now) == len(figures.alive_at(event))
        for each in now:
            levels.setdefault(each.frames[0].where, []).append(each.bytes)
            assert [frame.where for frame in each.frames[1:]] == ["train.py:3"]
    for each in held.at(figures.peak_event):
        assert each.most_bytes == max(levels[each.frames[0].where])


def test_beyond_two_hundred_stacks_they_stand_together_and_nothing_is_lost() -> None:
    figures = Figures.of(observation([(number, number + 1) for number in range(260)], 260))
    found = HeldStacks(figures).at(figures.peak_event)
    (rest,) = (each for each in found if not each.frames)
    assert (len(found), rest.count) == (201, 60)
    assert rest.bytes == sum(512 * (number + 1) for number in range(60))
    assert sum(each.bytes for each in found) == figures.peak()[0]


def test_what_has_no_stack_stands_under_the_line_that_began_its_backward() -> None:
    seen = observation([(0, 8), (7, 8)], 1)
    seen.marks = [
        Mark("backward+", 1, (SCRIPT, 30, "<module>"), {}),
        Mark("backward-", 2, None, {}),
    ]
    figures = Figures.of(seen)
    found = {each.group: each for each in HeldStacks(figures).at(figures.peak_event)}
    assert found["backward temporaries"].frames[0].where == "train.py:30"
    assert HeldStacks(figures).at(None) == ()
