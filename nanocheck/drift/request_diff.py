"""Where the allocators of two releases part ways, although the program asks for the same.

Requests of both are brought side by side, phase by phase, by their line and size; those that only one release
makes stand alone. Then a pair that got blocks in different segments, or for which only one release asked the
driver, is what there is to say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import cached_property

from nanocheck.core.diff_side import without_folders
from nanocheck.core.drift import OtherBlock, SegmentChange, Served
from nanocheck.core.request_log import Line, Request, RequestLog

#: Larger requests have a pool of their own (``kSmallSize``); smaller ones move no peak.
_LARGE = 1 << 20
#: So many requests that push each other aside are followed.
_LONGEST_CHAIN = 4
#: Longer stretches of requests that differ are not brought side by side: it takes the square of their length.
_MOST = 4000

#: What a request is known by on both sides.
_Key = tuple[Line, int]
#: Requests of one phase in a row: the phase, the step, and how often the phase began in it.
_Stretch = tuple[str, int, int]
#: Numbers of a request before and after.
_Pair = tuple[int, int]


class RequestDiff:
    """Two logs of one program.

    Args:
        before, after: of neighbouring releases.
    """

    def __init__(self, before: RequestLog, after: RequestLog) -> None:
        self._before, self._after = before, after
        self._pairs = list(_side_by_side(before, after))

    @property
    def segments(self) -> tuple[SegmentChange, ...]:
        """Those held at the reserved peaks, where their number differs; the most bytes first. They sum to the
        difference of the peaks.
        """
        old, new = _held(self._before), _held(self._after)
        found = [
            SegmentChange(
                segment_bytes=size,
                where=_file(line),
                line=line.text,
                before_count=old[line, size],
                after_count=new[line, size],
            )
            for line, size in dict.fromkeys((*old, *new))
            if old[line, size] != new[line, size]
        ]
        return tuple(
            sorted(
                found,
                key=lambda each: (
                    -abs(each.after_count - each.before_count) * each.segment_bytes,
                    each.where or "",
                    each.segment_bytes,
                ),
            )
        )

    def first_other(self) -> OtherBlock | None:
        """The first large request whose block lies in another segment, or elsewhere in it."""
        old, new = _names(self._before), _names(self._after)
        for one, other in self._pairs:
            before, after = self._before.requests[one], self._after.requests[other]
            if before.requested_bytes > _LARGE and (
                old[before.segment] != new[after.segment] or before.offset_bytes != after.offset_bytes
            ):
                return self._other(one, other)
        return None

    def decisive(self) -> OtherBlock | None:
        """Of all, by ``_decisive``."""
        return None if self._decisive is None else self._other(*self._decisive)

    def in_the_way(self) -> tuple[OtherBlock, ...]:
        """Why the free block of the one release is not free in the other: what lies in that segment there.
        With the first release it lies elsewhere, and there something lies in the other; and so on.
        """
        if self._decisive is None:
            return ()
        new = self._asked_by_after(self._decisive)
        asking, serving = (self._after, self._before) if new else (self._before, self._after)
        at = self._decisive[new]
        partner = {pair[new]: pair for pair in self._pairs}
        numbers = {name: number for number, name in _names(asking).items()}
        homes = _names(serving)
        wanted = serving.requests[self._decisive[not new]].segment
        found: list[_Pair] = []
        while len(found) < _LONGEST_CHAIN:
            segment = numbers.get(homes[wanted], -1)
            there = [
                partner[number]
                for number, each in enumerate(asking.requests[:at])
                if each.segment == segment >= 0
                and (each.until == -1 or each.until > at)
                and number in partner
            ]
            if not there:
                break
            pair = max(there, key=lambda each: (asking.requests[each[new]].block_bytes, -each[new]))
            wanted = serving.requests[pair[not new]].segment
            if pair in found or numbers.get(homes[wanted], -1) == segment:
                break  # it lies in the same segment with both: nothing was pushed aside
            found.append(pair)
        return tuple(self._other(*each) for each in found)

    def _asked_by_after(self, pair: _Pair) -> bool:
        return self._after.requests[pair[1]].made_bytes > self._before.requests[pair[0]].made_bytes

    @cached_property
    def _decisive(self) -> _Pair | None:
        """Of the requests up to either peak for which only one release asked the driver, or for more, in the
        direction in which the peak moved, the largest; of equal ones the first.
        """
        rise = self._after.reserved_bytes - self._before.reserved_bytes
        found = []
        for one, other in self._pairs:
            if one > self._before.peak_request and other > self._after.peak_request:
                continue
            difference = self._after.requests[other].made_bytes - self._before.requests[one].made_bytes
            if difference * rise > 0:
                found.append((-abs(difference), other, one))
        if not found:
            return None
        _, other, one = min(found)
        return one, other

    def _other(self, one: int, other: int) -> OtherBlock:
        after = self._after.requests[other]
        line = self._after.lines[after.line]
        return OtherBlock(
            number=other,
            phase=self._after.phases[after.phase],
            steps=(self._before.requests[one].step, after.step),
            requested_bytes=after.requested_bytes,
            where=_file(line),
            line=line.text,
            before=_served(self._before, self._before.requests[one]),
            after=_served(self._after, after),
        )


def _file(line: Line) -> str | None:
    """Where it is, without the folders of a machine."""
    return None if line.where is None else without_folders(line.where)


def _held(log: RequestLog) -> Counter[tuple[Line, int]]:
    """Line and bytes of the segments held at the peak, and how many there are."""
    return Counter(
        (log.lines[log.requests[each.request].line] if each.request >= 0 else Line(), each.bytes)
        for each in log.segments
        if each.at_peak
    )


def _names(log: RequestLog) -> dict[int, tuple[Line, int, int]]:
    """What a segment is known by on both sides: the line and size it was made for, and its number among those
    of the same. By its number alone one small segment more would make all others other ones.
    """
    seen: Counter[tuple[Line, int]] = Counter()
    found = {-1: (Line(), -1, 0)}
    for number, each in enumerate(log.segments):
        line = log.lines[log.requests[each.request].line] if each.request >= 0 else Line()
        found[number] = (line, each.bytes, seen[line, each.bytes])
        seen[line, each.bytes] += 1
    return found


def _served(log: RequestLog, request: Request) -> Served:
    segment = log.segments[request.segment] if request.segment >= 0 else None
    maker = log.requests[segment.request] if segment is not None and segment.request >= 0 else None
    return Served(
        made_bytes=request.made_bytes,
        largest_free_bytes=request.largest_free_bytes if request.made_bytes else None,
        segment_bytes=0 if segment is None else segment.bytes,
        segment_number=_number_of_size(log, request.segment),
        offset_bytes=request.offset_bytes,
        segment_where=None if maker is None else _file(log.lines[maker.line]),
        segment_phase=None if maker is None else log.phases[maker.phase],
        segment_step=0 if maker is None else maker.step,
    )


def _number_of_size(log: RequestLog, segment: int) -> int:
    """Of a segment among those of its size, from 1; 0 where it is not known."""
    if segment < 0:
        return 0
    size = log.segments[segment].bytes
    return sum(each.bytes == size for each in log.segments[: segment + 1])


def _side_by_side(before: RequestLog, after: RequestLog) -> Iterator[_Pair]:
    """Numbers of the requests that both make, in order.

    Where only one release went on to a further step, the last step of the other stands in: a run stops once
    its steps repeat themselves, so in this one it would do the same.
    """
    mine, theirs = _stretches(before), _stretches(after)
    ends = [max((step for _, step, _ in some), default=0) for some in (mine, theirs)]
    names = dict.fromkeys((*theirs, *(each for each in mine if each[1] > ends[1])))
    for phase, step, number in names:
        ours = mine.get((phase, min(step, ends[0]), number))
        others = theirs.get((phase, min(step, ends[1]), number))
        if ours is not None and others is not None:
            old, new = [_key(before, each) for each in ours], [_key(after, each) for each in others]
            for one, other in _alike(old, new):
                yield ours[one], others[other]


def _stretches(log: RequestLog) -> dict[_Stretch, list[int]]:
    """Numbers of the requests by phase, step, and how often the phase began in it."""
    found: dict[_Stretch, list[int]] = defaultdict(list)
    begun: Counter[tuple[str, int]] = Counter()
    last: tuple[str, int] | None = None
    for number, each in enumerate(log.requests):
        name = (log.phases[each.phase], each.step)
        if name != last:
            begun[name] += 1
            last = name
        found[*name, begun[name]].append(number)
    return found


def _key(log: RequestLog, number: int) -> _Key:
    one = log.requests[number]
    return log.lines[one.line], one.requested_bytes


def _alike(old: Sequence[_Key], new: Sequence[_Key]) -> Iterator[_Pair]:
    """Places of equal keys, in order on both sides."""
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        yield head, head
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    a, b = old[head : len(old) - tail], new[head : len(new) - tail]
    if a and b and max(len(a), len(b)) <= _MOST:
        for start, at, size in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks():
            for step in range(size):
                yield head + start + step, head + at + step
    for step in range(tail, 0, -1):
        yield len(old) - step, len(new) - step
