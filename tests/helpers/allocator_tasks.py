"""Fuzzes the real caching allocator against its model. Runs in a child, on the virtual GPU."""

from __future__ import annotations

import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from allocator_blocks import (
    MIB,
    MIN_BLOCK,
    MIN_LARGE,
    ROUND_LARGE,
    Block,
    Pool,
    Settings,
    Stat,
    tie_order_of,
)
from allocator_model import Allocator, CardFullError

#: Comparing every block by address costs more than comparing sums, so it is done now and then.
EVENTS_BETWEEN_SNAPSHOTS = 250


class SplitsOneMib(Allocator):
    def should_split(self, block: Block, size: int) -> bool:
        return super().should_split(block, size) or block.size - size == 1 * MIB


class KeepsSlack(Allocator):
    def should_split(self, block: Block, size: int) -> bool:
        return super().should_split(block, size) and block.size - size > MIN_BLOCK


class NeverMerges(Allocator):
    def _try_merge(self, block: Block, neighbour: Block | None) -> int:
        return 0


class NeverCollects(Allocator):
    def _garbage_collect(self) -> None:
        pass


class ReleasesNothingEarly(Allocator):
    def _release_available(self, pool: Pool, size: int, stream: int) -> bool:
        return False


class IgnoresGrowth(Allocator):
    def growable_size(self, block: Block) -> int:
        return block.size


#: The model, and others that are wrong in one rule each.
MODELS: dict[str, type[Allocator]] = {
    "faithful": Allocator,
    "splits at 1 MiB of slack": SplitsOneMib,
    "does not split at 512 B of slack": KeepsSlack,
    "never merges": NeverMerges,
    "never collects": NeverCollects,
    "releases nothing early": ReleasesNothingEarly,
    "ignores growth": IgnoresGrowth,
}


class DifferenceError(Exception):
    """The model and the allocator disagree."""


def fuzz(payload: Any, emit: Callable[[str, Any], None]) -> dict[str, Any]:
    """Random events on both; compares after each.

    Args:
        payload: ``seed``, ``events``, ``model`` (a name in ``MODELS``), ``settings`` (``Settings`` without
            the card's and torch's part), ``free_bytes`` (what the card leaves the allocator), and
            ``tie_order`` to override the one of this torch.

    Returns:
        ``difference`` (text, or ``None``), ``events`` compared, and counts of what happened.
    """
    run = Run(payload)
    try:
        for _ in range(payload["events"]):
            run.event()
        run.compare_blocks()
    except DifferenceError as difference:
        history = "\n".join(run.history)
        return {"difference": f"event {run.events}: {difference}\nthe last events:\n{history}"}
    return {"difference": None, "torch": torch.__version__, "events": run.events, **run.summary()}


class Run:
    """One sequence of events, on the real allocator and on the model."""

    def __init__(self, payload: Any) -> None:
        torch.cuda.init()
        total = torch.cuda.get_device_properties(0).total_memory
        tie_order = payload.get("tie_order") or tie_order_of(torch.__version__)
        settings = Settings(
            total_bytes=total, free_bytes=payload["free_bytes"], tie_order=tie_order, **payload["settings"]
        )
        if settings.fraction is not None:
            torch.cuda.set_per_process_memory_fraction(settings.fraction)
        self.model = MODELS[payload["model"]](settings)
        self.room = min(settings.free_bytes, settings.limit_bytes or total)
        self.free_at_start = torch.cuda.mem_get_info()[0]
        self.random = random.Random(payload["seed"])
        self.streams = [0, torch.cuda.Stream().cuda_stream]
        self.live: list[tuple[int, Block]] = []
        self.live_bytes = 0
        self.filling = True
        self.events = 0
        self.kinds: Counter[str] = Counter()
        self.history: deque[str] = deque(maxlen=10)

    def event(self) -> None:
        """Fill the card until something fails, then empty it by half, and so on."""
        if self.live_bytes > self.room:
            self.filling = False
        elif self.live_bytes < self.room // 2:
            self.filling = True
        chance = self.random.random()
        if chance < 0.002:
            self.note("empty_cache")
            torch.cuda.empty_cache()
            self.model.empty_cache()
        elif chance < 0.004:
            self.note("reset_peaks")
            torch.cuda.reset_peak_memory_stats()
            self.model.reset_peaks()
        elif not self.live or chance < (0.62 if self.filling else 0.40):
            self.malloc()
        else:
            self.free()
        self.compare_statistics()
        self.events += 1
        if self.events % EVENTS_BETWEEN_SNAPSHOTS == 0:
            self.compare_blocks()

    def note(self, kind: str, detail: str = "") -> None:
        self.kinds[kind] += 1
        self.history.append(f"  {self.events}: {kind} {detail}")

    def draw_size(self) -> int:
        """Bytes: all the allocator's regimes, their borders more often than chance would hit them."""
        draw, chance = self.random.randrange, self.random.random()
        left = torch.cuda.mem_get_info()[0] // ROUND_LARGE
        if chance > 0.99 and MIN_LARGE < left * ROUND_LARGE < self.room // 4:
            return (left + draw(-1, 2)) * ROUND_LARGE  # a segment that the card just has, or just not
        if chance < 0.30:
            return draw(1, 4096)
        if chance < 0.50:
            return draw(1, MIB + 1)
        if chance < 0.60:
            border = self.random.choice([512, MIB, 2 * MIB, 10 * MIB, 20 * MIB])
            return border + draw(-1, 2)
        if chance < 0.70:  # leaves about 1 MiB of slack in a block of whole MiB
            return draw(2, 40) * MIB + self.random.choice([-512, 0, 512])
        if chance < 0.87:
            return draw(MIB, 12 * MIB)
        if chance < 0.97:
            return draw(10 * MIB, 200 * MIB)
        return draw(200 * MIB, self.room // 8)

    def malloc(self) -> None:
        size = self.draw_size()
        stream = self.streams[self.random.random() < 0.15]
        self.note("malloc", f"{size} on {'a side' if stream else 'the main'} stream")
        address: int | None = None
        block: Block | None = None
        try:
            address = torch.cuda.caching_allocator_alloc(size, stream=stream)
        except torch.OutOfMemoryError:
            self.filling = False
        with contextlib.suppress(CardFullError):
            block = self.model.malloc(size, stream, address)
        if address is None or block is None:
            check("out of memory", address is None, block is None)
            return
        check("address", address, block.address)
        self.live.append((address, block))
        self.live_bytes += block.size

    def free(self) -> None:
        """The youngest half of the time, as in a training step; else any."""
        last = len(self.live) - 1
        at = self.random.randrange(last + 1) if self.random.random() < 0.5 else last
        address, block = self.live.pop(at)
        self.note("free", f"{block.size} of {block.requested} requested")
        self.live_bytes -= block.size
        torch.cuda.caching_allocator_delete(address)
        self.model.free(block)

    def compare_statistics(self) -> None:
        """Current and peak of every sum, the counts, and what the card has left."""
        real = torch.cuda.memory_stats_as_nested_dict()
        for name, mine in vars(self.model.stats).items():
            if isinstance(mine, Stat):
                theirs = real[name]["all"]
                check(name, (theirs["current"], theirs["peak"]), (mine.current, mine.peak))
            else:
                check(name, real[name], mine)
        taken = self.free_at_start - torch.cuda.mem_get_info()[0]
        check("taken from the card", taken, self.model.device_used)

    def compare_blocks(self) -> None:
        """Address, size and state of every block that memory stands behind."""
        theirs = sorted(
            (block["address"], block["size"], block["state"] == "active_allocated")
            for segment in torch.cuda.memory_snapshot()
            for block in segment["blocks"]
        )
        free = [*self.model.small.free.blocks, *self.model.large.free.blocks]
        mine = sorted((b.address, b.size, b.allocated) for b in [*free, *(b for _, b in self.live)])
        for one, other in zip(theirs, mine, strict=False):
            check("block (address, size, allocated)", one, other)
        check("number of blocks", len(theirs), len(mine))

    def summary(self) -> dict[str, Any]:
        """What the sequence reached."""
        stats = asdict(self.model.stats)
        return {
            **self.kinds,
            **{name: value for name, value in stats.items() if isinstance(value, int)},
            "reserved_peak_bytes": stats["reserved_bytes"]["peak"],
        }


def check(what: str, real: Any, model: Any) -> None:
    if real != model:
        raise DifferenceError(f"{what}: allocator {real}, model {model}")
