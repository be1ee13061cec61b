"""The allocator's events, replayed: every allocation with the block it got, and what was reserved.

An event tells what a tensor asked for; the block it got can be larger. Which block it was follows from the
addresses and two rules of PyTorch's caching allocator (c10/cuda/CUDACachingAllocator.cpp): sizes are rounded
up to 512 bytes (``round_size``), and the rest of a free block is split off unless it is too small for use
(``should_split``: less than 512 bytes in the pool of small blocks and with expandable segments, at most 1 MiB
in the pool of large ones). Nothing here chooses a block: the real allocator did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from nanocheck.attribution.journal_entries import AllocatorSettings

_SMALL = 1 << 20  # kSmallSize: the largest request that is served from small blocks
_MIN_BLOCK = 512


@dataclass(slots=True)
class Allocation:
    """One tensor's memory, from the event that made it to the one that let it go.

    ``born`` and ``died`` are event numbers; ``died`` is ``None`` while it lives. ``size_bytes`` is its
    block's, ``requested_bytes`` what was asked for.
    """

    number: int  # among allocations
    born: int
    address: int
    requested_bytes: int
    size_bytes: int
    stack: int
    died: int | None = None


class Replay:
    """Feed events in order; read allocations, levels and free memory.

    Attributes:
        allocations: all of them, in order.
        levels: after each event: (allocated bytes, reserved bytes).
        surprises: events that no free block explains; 0 unless the history has a hole.
    """

    def __init__(self, settings: AllocatorSettings | None = None) -> None:
        self._settings = settings or AllocatorSettings()
        self.allocations: list[Allocation] = []
        self.levels: list[tuple[int, int]] = []
        self.surprises = 0
        self._live: dict[int, Allocation] = {}
        self._home: dict[int, tuple[int, bool]] = {}  # of blocks in use: segment, expandable
        self._leaving: dict[int, int] = {}  # freed by the program, not yet by the allocator: address -> bytes
        self._free: dict[int, tuple[int, int, bool]] = {}  # start -> (end, segment, expandable)
        self._free_ends: dict[int, int] = {}
        self._allocated = 0
        self._reserved = 0

    def feed(self, events: Iterable[tuple[str, int, int, int]]) -> Replay:
        """All events at once."""
        for action, address, size, stack in events:
            getattr(self, f"_{_NAMES[action]}")(address, size, stack)
            self.levels.append((self._allocated, self._reserved))
        return self

    def live_blocks(self) -> Iterator[tuple[int, int]]:
        """(address, size) of every block in use now."""
        for address, allocation in self._live.items():
            yield address, allocation.size_bytes
        yield from self._leaving.items()

    def free_blocks(self) -> Iterator[tuple[int, int]]:
        """(bytes, address of its segment) of every free block now; 0 for pages of expandable segments."""
        for start, (end, segment, _) in self._free.items():
            yield end - start, segment

    def home_of(self, address: int) -> int | None:
        """The address of the segment that a block in use lies in; ``None`` where it is not known or grows."""
        segment, expandable = self._home.get(address, (0, True))
        return None if expandable else segment

    def _oom(self, address: int, size: int, stack: int) -> None:
        pass

    def _alloc(self, address: int, size: int, stack: int) -> None:
        block = self._take(address, size)
        one = Allocation(len(self.allocations), len(self.levels), address, size, block, stack)
        self.allocations.append(one)
        self._live[address] = one
        self._allocated += block

    def _take(self, address: int, size: int) -> int:
        wanted = self._rounded(size)
        found = self._free.pop(address, None)
        if found is None:
            self.surprises += 1
            self._home[address] = (address, False)
            return wanted
        end, segment, expandable = found
        self._home[address] = (segment, expandable)
        self._free_ends.pop(end, None)
        rest = end - address - wanted
        if rest < 0:
            self.surprises += 1
            return wanted
        if self._splits(wanted, rest, expandable):
            self._put(address + wanted, end, segment, expandable)
            return wanted
        return end - address

    def _rounded(self, size: int) -> int:
        divisions = self._settings.roundup_power2_divisions or {}
        step = _MIN_BLOCK
        if size > _MIN_BLOCK and any(divisions.values()):
            # As the allocator looks it up: by the highest power of two, in MiB, from 1 to 32768.
            power = 1 << (size.bit_length() - 1)
            parts = divisions.get(str(min(max(power >> 20, 1), 32768)), 0)
            if parts > 1 and size > parts * _MIN_BLOCK and power != size:
                step = max(power // parts, 1)
        return max(-(-size // step) * step, _MIN_BLOCK)

    def _splits(self, size: int, rest: int, expandable: bool) -> bool:
        if size <= _SMALL or expandable:
            return rest >= _MIN_BLOCK
        limit = self._settings.max_split_size
        return rest > _SMALL and (limit < 0 or size < limit)

    def _free_requested(self, address: int, size: int, stack: int) -> None:
        one = self._live.pop(address, None)
        if one is None:
            self.surprises += 1
            return
        one.died = len(self.levels)
        self._leaving[address] = one.size_bytes
        self._allocated -= one.size_bytes

    def _free_completed(self, address: int, size: int, stack: int) -> None:
        if address in self._live:  # an allocator that tells only one of the two
            self._free_requested(address, size, stack)
        block = self._leaving.pop(address, None)
        if block is None:
            self.surprises += 1
            return
        self._release(address, address + block, *self._home.pop(address, (address, False)))

    def _release(self, start: int, end: int, segment: int, expandable: bool) -> None:
        """A range becomes free and merges with its free neighbours of the same segment."""
        before = self._free_ends.get(start)
        if before is not None and before in self._free and self._free[before][1] == segment:
            del self._free[before], self._free_ends[start]
            start = before
        after = self._free.get(end)
        if after is not None and after[1] == segment:
            del self._free[end]
            self._free_ends.pop(after[0], None)
            end = after[0]
        self._put(start, end, segment, expandable)

    def _put(self, start: int, end: int, segment: int, expandable: bool) -> None:
        self._free[start] = (end, segment, expandable)
        self._free_ends[end] = start

    def _segment_alloc(self, address: int, size: int, stack: int) -> None:
        self._reserved += size
        self._put(address, address + size, address, False)

    def _segment_free(self, address: int, size: int, stack: int) -> None:
        self._reserved -= size
        self._cut(address, address + size)

    def _segment_map(self, address: int, size: int, stack: int) -> None:
        self._reserved += size
        # Pages of one expandable segment are neighbours; two segments never are, so one name will do.
        self._release(address, address + size, 0, True)

    def _segment_unmap(self, address: int, size: int, stack: int) -> None:
        self._reserved -= size
        self._cut(address, address + size)

    def _cut(self, start: int, end: int) -> None:
        """Take a range out of the free memory it lies in."""
        first = next((each for each, (last, *_) in self._free.items() if each <= start and end <= last), None)
        if first is None:
            self.surprises += 1
            return
        last, segment, expandable = self._free.pop(first)
        self._free_ends.pop(last, None)
        if first < start:
            self._put(first, start, segment, expandable)
        if end < last:
            self._put(end, last, segment, expandable)


_NAMES = {
    "a": "alloc",
    "r": "free_requested",
    "f": "free_completed",
    "S": "segment_alloc",
    "F": "segment_free",
    "M": "segment_map",
    "U": "segment_unmap",
    "o": "oom",
}
