"""Allocator histories of made-up programs, as a release of PyTorch would write them, without running one.

The blocks are those of ``allocator_model``, which the real allocator is compared with; releases differ in
nothing but the order of equal free blocks.
"""

from __future__ import annotations

from collections.abc import Sequence

from allocator_blocks import Block, Settings, TieOrder
from allocator_model import Allocator

from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.journal_entries import Start
from nanocheck.attribution.request_log import request_log
from nanocheck.core.request_log import RequestLog

SCRIPT = "/home/somebody/train.py"
#: Gives back what nothing uses.
EMPTY_CACHE = 0
#: Bytes of a request; or minus one less the number of the request that is let go; or ``EMPTY_CACHE``.
Program = Sequence[int]


def observation(program: Program, order: TieOrder) -> Observation:
    """What a process that ran the program would have written; each request has a line of its own."""
    allocator = Allocator(Settings(total_bytes=1 << 50, free_bytes=1 << 50, tie_order=order))
    events: list[tuple[str, int, int, int]] = []
    made: list[Block | None] = []
    for line, size in enumerate(program):
        if size == EMPTY_CACHE:
            whole = [each for pool in (allocator.large, allocator.small) for each in pool.free.blocks]
            events += [("F", each.address, each.size, -1) for each in whole if not each.is_split]
            allocator.empty_cache()
            continue
        if size < 0:
            block = made[-size - 1]
            if block is not None:
                made[-size - 1] = None
                events += [("r", block.address, block.size, -1), ("f", block.address, block.size, -1)]
                allocator.free(block)
            continue
        reserved = allocator.stats.reserved_bytes.current
        block = allocator.malloc(size)
        more = allocator.stats.reserved_bytes.current - reserved
        events += [("S", block.segment.address, more, line)] if more else []
        events.append(("a", block.address, size, line))
        made.append(block)
    stacks = [((SCRIPT, line + 1, "<module>"),) for line in range(len(program))]
    start = Start(pid=1, folder="/home/somebody", libraries=("/lib/torch", "/observe", "/lib/python3.11"))
    return Observation(start=start, stacks=stacks, events=events)


def log_of(program: Program, order: TieOrder) -> RequestLog:
    """The same as a request log."""
    return request_log([observation(program, order)])
