"""Which allocations are logits or the loss's own, by what made them and what read them.

At each backward the observer wrote down what the operators between the head and the loss had made, as
autograd's graph knows it (``nanocheck.observe.loss_graph``): bytes of each tensor and of what it was made
from, no addresses. Which allocations they are follows from the order: they are younger than what the head
read, and after that nothing else is made before the backward. Where the sizes of the two are the same, each
operator has the latest allocation of its size before the one that was made after it, and none that is older
than what it was made from. What the engine asks for while it goes back through the same operators is the
loss's, too.

Without a graph (evaluation, a forward whose backward never came, checkpointed code that runs again) the line
decides: a line that makes logits in training makes them there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence

from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.journal_entries import Loss, Way
from nanocheck.attribution.replay import Allocation

_SMALLER = 8


def find(
    seen: Observation,
    allocations: Sequence[Allocation],
    lines: Sequence[Hashable],
    in_loss: Sequence[bool],
) -> set[int]:
    """Numbers of the allocations that hold logits, or what was made between them and the loss.

    Args:
        lines: of each stack, what tells one line of the program from another; ``None`` where nothing does.
        in_loss: of each stack, whether it is inside a loss function.
    """
    made_by_python = [one for one in allocations if 0 <= one.stack < len(lines) and seen.stacks[one.stack]]
    by_size: dict[int, list[int]] = defaultdict(list)
    for one in made_by_python:
        by_size[one.requested_bytes].append(one.number)
    calls = _calls(allocations, in_loss)
    found: set[int] = set()
    looked_at: set[int] = set()
    starts = _starts(seen)
    known = 0
    for loss in seen.losses:
        at = bisect_right(starts, loss.allocations)
        start = starts[at - 1] if at else 0
        here = _on_the_way(loss, by_size, start, calls)
        if here:
            looked_at.update(range(max(start, known), min(loss.allocations, len(allocations))))
            known = loss.allocations
        found |= here | _at_addresses(loss, allocations)
    return found | _of_the_same_line(made_by_python, lines, found, looked_at)


def _starts(seen: Observation) -> list[int]:
    """Where forwards began at the earliest: behind an optimizer step, an evaluation, and in a backward.

    A checkpoint that is reentrant runs its part again inside the backward, and a backward of its own.
    """
    found = []
    inside: list[int] = []  # of backwards that have not ended, where their present part began
    for mark in seen.marks:
        if mark.what in ("optimizer-", "evaluation-"):
            found.append(mark.allocations)
        elif mark.what == "backward+":
            found += inside[-1:]
            inside.append(mark.allocations)
        elif mark.what == "backward-" and inside:
            inside.pop()
            inside[-1:] = [mark.allocations] * bool(inside)
    return found


def _calls(allocations: Sequence[Allocation], in_loss: Sequence[bool]) -> dict[int, int]:
    """Of each allocation inside a loss function the first one of the same call."""
    found: dict[int, int] = {}
    for one in allocations:
        if 0 <= one.stack < len(in_loss) and in_loss[one.stack]:
            found[one.number] = found.get(one.number - 1, one.number)
    return found


def _on_the_way(
    loss: Loss, by_size: Mapping[int, Sequence[int]], start: int, calls: Mapping[int, int]
) -> set[int]:
    found: set[int] = set()
    later = loss.allocations
    for way in loss.ways:
        here = _of_way(way, by_size, start, later, calls)
        found |= here
        later = min(here, default=later)
    return found


def _of_way(
    way: Way, by_size: Mapping[int, Sequence[int]], start: int, later: int, calls: Mapping[int, int]
) -> set[int]:
    head = way.made[-1][0] if way.made else 0
    # What is much smaller is sums over the vocabulary: as small as a norm's, and easily mistaken for them.
    made = [each for each in way.made if each[0] >= head // _SMALLER]
    sizes = {size for size, _ in made}
    last = _newest(by_size, sizes, later)
    if last is None:
        return set()
    last = calls.get(last, last)  # what a loss function asks for inside is no hidden state
    hidden, ancestor = (
        _newest(by_size, set(some).difference(size for size, _ in way.made), last)
        for some in (way.read, way.older)
    )
    if hidden is not None and hidden >= start:
        first = hidden + 1
    elif ancestor is not None and ancestor >= start and head not in way.read:
        of_head = by_size.get(head, ())
        at = bisect_right(of_head, ancestor)
        first = of_head[at] if at < len(of_head) else later
    else:
        return _in_order(made, by_size, max(start, ancestor or 0), later, calls)
    # After what the head read there is nothing but head and loss, results and scratch memory.
    numbers = (by_size.get(size, ()) for size in sizes)
    return {each for some in numbers for each in some[bisect_left(some, first) : bisect_left(some, later)]}


def _in_order(
    made: Sequence[tuple[int, Sequence[int]]],
    by_size: Mapping[int, Sequence[int]],
    start: int,
    later: int,
    calls: Mapping[int, int],
) -> set[int]:
    """Where nothing tells what the head read from logits: one allocation for each operator."""
    found: set[int] = set()
    for size, read in made:
        number = _latest(by_size.get(size, ()), later)
        if number is None or number < start:
            continue  # made in place: the memory is that of what was read
        if any(each != size and _between(by_size.get(each, ()), number, later) for each in read):
            continue  # made before what it would have been made from: another tensor of that size
        found.add(number)
        # A loss function may ask for more of one size than its result; what it was given is older than all.
        later = calls.get(number, number)
    return found


def _newest(by_size: Mapping[int, Sequence[int]], sizes: Iterable[int], before: int) -> int | None:
    known = (_latest(by_size.get(each, ()), before) for each in sizes)
    return max((each for each in known if each is not None), default=None)


def _latest(numbers: Sequence[int], before: int) -> int | None:
    at = bisect_left(numbers, before)
    return numbers[at - 1] if at else None


def _between(numbers: Sequence[int], first: int, last: int) -> bool:
    latest = _latest(numbers, last)
    return latest is not None and latest > first


def _at_addresses(loss: Loss, allocations: Sequence[Allocation]) -> set[int]:
    found = set()
    for address in loss.addresses:
        there = (one.number for one in reversed(allocations) if one.address == address)
        number = next((each for each in there if each < loss.allocations), None)
        if number is not None:
            found.add(number)
    return found


def _of_the_same_line(
    made: Sequence[Allocation], lines: Sequence[Hashable], found: set[int], looked_at: set[int]
) -> set[int]:
    """Of lines, or sizes of a line, that made nothing else where the graph was known."""
    logits: Counter[Hashable] = Counter()
    others: Counter[Hashable] = Counter()
    for one in made:
        if one.number in looked_at:
            tally = logits if one.number in found else others
            tally.update((lines[one.stack], (lines[one.stack], one.requested_bytes)))
    of_logits = {each for each in logits if not others[each]} - {None}
    return {
        one.number
        for one in made
        if one.number not in looked_at
        and lines[one.stack] is not None
        and (lines[one.stack] in of_logits or (lines[one.stack], one.requested_bytes) in of_logits)
    }


def backward_of_losses(seen: Observation) -> list[tuple[int, int]]:
    """(first, behind the last) allocation of each stretch in which a backward was inside a loss."""
    found = []
    began: int | None = None
    for each in seen.loss_backwards:
        if each.inside:
            began = each.allocations if began is None else began
        elif began is not None:
            found.append((began, each.allocations))
            began = None
    if began is not None:  # it died there
        found.append((began, 1 << 62))
    return found
