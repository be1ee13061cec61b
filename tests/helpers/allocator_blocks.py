"""What the allocator's model (``allocator_model.py``) is made of: settings, blocks, pools, statistics."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

MIB = 1 << 20
MIN_BLOCK = 512
SMALL_SIZE = 1 * MIB  # the largest request that the small pool serves
SMALL_SEGMENT = 2 * MIB
MIN_LARGE = 10 * MIB  # from here on a request gets a segment of its own size
ROUND_LARGE = 2 * MIB  # also the granule in which a card hands out memory
LARGE_SEGMENT = 20 * MIB
ADDRESS_REGION = 32 * MIB  # the card hands out addresses downwards, in multiples of this

#: What decides between free blocks of one size: ``address``; ``creation``, the age of the block object;
#: ``segment``, the age of the segment and then the address.
TieOrder = Literal["address", "creation", "segment"]


def tie_order_of(torch_version: str) -> TieOrder:
    """Changed by pytorch#183489 (2.12) and again by pytorch#183591 (2.13)."""
    major, minor = (int(part) for part in torch_version.split(".")[:2])
    if (major, minor) < (2, 12):
        return "address"
    return "creation" if (major, minor) == (2, 12) else "segment"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The card, and what ``PYTORCH_ALLOC_CONF`` says.

    Attributes:
        total_bytes: the card's ``totalGlobalMem``.
        free_bytes: what is left of it when the allocator starts.
        tie_order: see ``TieOrder``.
        expandable: ``expandable_segments``.
        max_split_bytes: ``max_split_size_mb``; ``None``: no limit.
        divisions: ``roundup_power2_divisions``, one number for all sizes; 0: off.
        gc_threshold: ``garbage_collection_threshold``; 0: off, and so it is without a fraction.
        fraction: ``set_per_process_memory_fraction``; ``None``: never called.
    """

    total_bytes: int
    free_bytes: int
    tie_order: TieOrder
    expandable: bool = False
    max_split_bytes: int | None = None
    divisions: int = 0
    gc_threshold: float = 0.0
    fraction: float | None = None

    @property
    def limit_bytes(self) -> int | None:
        return None if self.fraction is None else int(self.fraction * self.total_bytes)


@dataclass(frozen=True)
class Segment:
    """One ``cudaMalloc``, or one address range that is mapped granule by granule."""

    serial: int
    address: int
    size: int
    granule: int | None = None  # bytes; only of expandable segments


@dataclass(eq=False, slots=True)
class Block:
    """A piece of a segment; the pieces of one segment are a doubly linked list in address order."""

    stream: int
    address: int
    size: int
    pool: Pool
    segment: Segment
    serial: int
    requested: int = 0
    allocated: bool = False
    mapped: bool = True
    prev: Block | None = None
    next: Block | None = None
    inserted_at: int = 0  # the pool's count of searches when the block was last freed

    @property
    def is_split(self) -> bool:
        return self.prev is not None or self.next is not None

    @property
    def expandable(self) -> bool:
        return self.segment.granule is not None


Key = tuple[int, ...]


class OrderedBlocks:
    """Blocks in the order of a key that begins with the stream."""

    def __init__(self, key: Callable[[Block], Key]) -> None:
        self._key = key
        self._keys: list[Key] = []
        self.blocks: list[Block] = []

    def add(self, block: Block) -> None:
        key = self._key(block)
        at = bisect_left(self._keys, key)
        self._keys.insert(at, key)
        self.blocks.insert(at, block)

    def remove(self, block: Block) -> None:
        at = bisect_left(self._keys, self._key(block))
        assert self.blocks[at] is block
        del self._keys[at], self.blocks[at]

    def from_key(self, *key: int) -> int:
        """Index of the first block whose key is not below ``key``; past the end if there is none."""
        return bisect_left(self._keys, key)


_FREE_KEYS: dict[TieOrder, Callable[[Block], Key]] = {
    "address": lambda block: (block.stream, block.size, block.address),
    "creation": lambda block: (block.stream, block.size, block.serial),
    "segment": lambda block: (block.stream, block.size, block.segment.serial, block.address),
}


class Pool:
    """The free blocks for small requests, or for large ones."""

    def __init__(self, small: bool, tie_order: TieOrder) -> None:
        self.small = small
        self.free = OrderedBlocks(_FREE_KEYS[tie_order])
        self.unmapped = OrderedBlocks(lambda block: (block.stream, block.address))
        self.searches = 0  # the clock by which garbage collection tells a block's age


@dataclass
class Stat:
    current: int = 0
    peak: int = 0

    def add(self, amount: int) -> None:
        self.current += amount
        self.peak = max(self.peak, self.current)


@dataclass
class Statistics:
    """Named as in ``torch.cuda.memory_stats()``."""

    allocated_bytes: Stat = field(default_factory=Stat)
    active_bytes: Stat = field(default_factory=Stat)
    requested_bytes: Stat = field(default_factory=Stat)
    reserved_bytes: Stat = field(default_factory=Stat)
    inactive_split_bytes: Stat = field(default_factory=Stat)
    segment: Stat = field(default_factory=Stat)
    num_alloc_retries: int = 0
    num_ooms: int = 0
    num_device_alloc: int = 0
    num_device_free: int = 0


def ceil_to(size: int, unit: int) -> int:
    return -(-size // unit) * unit


def segment_size(size: int) -> int:
    """``get_allocation_size``: what is asked of the card for a rounded request."""
    if size <= SMALL_SIZE:
        return SMALL_SEGMENT
    return LARGE_SEGMENT if size < MIN_LARGE else ceil_to(size, ROUND_LARGE)


def link(first: Block | None, second: Block | None) -> None:
    """Make two blocks neighbours; ``None`` stands for a segment's end."""
    if first is not None:
        first.next = second
    if second is not None:
        second.prev = first
