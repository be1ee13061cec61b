"""A model of PyTorch's native CUDA caching allocator: its default pool, on one device, without a GPU.

Written to be compared with the real allocator after every event (``test_allocator.py``): if
both agree on the virtual GPU, then the virtual GPU's ``cudaMalloc``, ``cudaFree`` and ``cuMem*`` behave
as the allocator expects of a card, capacity included. The rules are those of
``c10/cuda/CUDACachingAllocator.cpp`` and ``c10/core/AllocatorConfig.h`` of torch 2.8 to 2.14; where a
method bears another name than its function there, its docstring gives that. Not modelled: events of
other streams (``record_stream``), private pools, CUDA graphs. Imports neither torch nor nanocheck.
"""

from __future__ import annotations

from allocator_blocks import (
    ADDRESS_REGION,
    LARGE_SEGMENT,
    MIN_BLOCK,
    ROUND_LARGE,
    SMALL_SEGMENT,
    SMALL_SIZE,
    Block,
    Pool,
    Segment,
    Settings,
    Stat,
    Statistics,
    ceil_to,
    link,
    segment_size,
)


class CardFullError(Exception):
    """The card has no room for a request, everything cached was given back."""


class Allocator:
    """``DeviceCachingAllocator``. Sizes and addresses are bytes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stats = Statistics()
        self.small = Pool(True, settings.tie_order)
        self.large = Pool(False, settings.tie_order)
        self._collects = settings.limit_bytes is not None and settings.gc_threshold > 0
        self.device_used = 0
        self._segments = 0
        self._blocks = 0
        # The lowest address seen. The card's next one lies below it, also where nobody says what it answered.
        self._lowest = 1 << 62
        self._reserved = 0

    # -- the interface ------------------------------------------------------------------------------

    def malloc(self, requested: int, stream: int = 0, address: int | None = None) -> Block:
        """Serve a request of at least one byte.

        Args:
            address: what the real allocator answered, so that a segment made for this request lies
                where the card really put it. Used for new segments only: they are handed out from
                their front.

        Raises:
            CardFullError: the card is full, or the fraction used up.
        """
        size = self.round_size(requested)
        pool = self.small if size <= SMALL_SIZE else self.large
        block = self._get_free_block(pool, size, stream)
        if block is None and self._collects:
            self._garbage_collect()
        if block is None:
            block = self._alloc_block(pool, size, stream, address)
        if block is None and self._release_available(pool, size, stream):
            block = self._alloc_block(pool, size, stream, address)
        if block is None:
            self.empty_cache()
            self.stats.num_alloc_retries += 1
            block = self._alloc_block(pool, size, stream, address)
        if block is None:
            self.stats.num_ooms += 1
            raise CardFullError(requested)
        return self._hand_out(block, size, requested)

    def free(self, block: Block) -> None:
        """``free`` and ``free_block``, of a block that no other stream used."""
        size, net = block.size, 0
        block.allocated = False
        self.stats.allocated_bytes.add(-size)
        for neighbour in (block.prev, block.next):
            net -= self._try_merge(block, neighbour)
        self._insert(block)
        if block.is_split:
            net += block.size
        if not block.expandable:
            self.stats.inactive_split_bytes.add(net)
        self.stats.active_bytes.add(-size)
        self.stats.requested_bytes.add(-block.requested)

    def empty_cache(self) -> None:
        """``release_cached_blocks``."""
        for pool in (self.large, self.small):
            expandable = [block for block in pool.free.blocks if block.expandable]
            for block in [each for each in pool.free.blocks if not each.expandable and not each.is_split]:
                self._release(block)
            for block in expandable:
                self._unmap(block)
                if not block.is_split:
                    pool.unmapped.remove(block)

    def reset_peaks(self) -> None:
        for stat in vars(self.stats).values():
            if isinstance(stat, Stat):
                stat.peak = stat.current

    # -- sizes --------------------------------------------------------------------------------------

    def round_size(self, requested: int) -> int:
        """``round_size`` and ``roundup_power2_next_division``."""
        divisions = self.settings.divisions
        if requested < MIN_BLOCK:
            return MIN_BLOCK
        if divisions > 1 and requested > MIN_BLOCK * divisions:
            power = 1 << (requested.bit_length() - 1)
            return ceil_to(requested, power // divisions)
        return ceil_to(requested, MIN_BLOCK)

    def should_split(self, block: Block, size: int) -> bool:
        remaining = block.size - size
        if block.pool.small or self.settings.expandable:
            return remaining >= MIN_BLOCK
        return self._splittable(size) and remaining > SMALL_SIZE

    def growable_size(self, block: Block) -> int:
        """By which ``get_free_block`` compares expandable blocks."""
        follows = block.next
        return block.size + (follows.size if follows is not None and not follows.mapped else 0)

    def _splittable(self, size: int) -> bool:
        return self.settings.max_split_bytes is None or size < self.settings.max_split_bytes

    # -- finding and handing out --------------------------------------------------------------------

    def _get_free_block(self, pool: Pool, size: int, stream: int) -> Block | None:
        pool.searches += self._collects
        free = pool.free.blocks
        at = pool.free.from_key(stream, size)
        if at == len(free) or free[at].stream != stream:
            return None
        # An expandable block counts with the address space it could still grow into.
        if free[at].expandable:
            while (
                at + 1 < len(free)
                and free[at + 1].stream == stream
                and self.growable_size(free[at + 1]) < self.growable_size(free[at])
            ):
                at += 1
        block = free[at]
        # A block too large to be split serves none but requests of nearly its size (the 20 MiB are
        # max_non_split_rounding's default).
        if self._splittable(size) and not self._splittable(block.size):
            return None
        if not self._splittable(size) and block.size >= size + LARGE_SEGMENT:
            return None
        pool.free.remove(block)
        return block

    def _hand_out(self, block: Block, size: int, requested: int) -> Block:
        """``alloc_found_block``: the front part is a new block, the remainder keeps its identity."""
        was_split, inactive = block.is_split, 0
        if self.should_split(block, size):
            remainder = block
            block = self._block_before(remainder, size)
            self._insert(remainder)
            inactive = -size if was_split else remainder.size
        elif was_split:
            inactive = -block.size
        if not block.expandable:
            self.stats.inactive_split_bytes.add(inactive)
        block.allocated = True
        block.requested = requested
        self.stats.allocated_bytes.add(block.size)
        self.stats.active_bytes.add(block.size)
        self.stats.requested_bytes.add(requested)
        return block

    def _insert(self, block: Block) -> None:
        block.inserted_at = block.pool.searches
        block.pool.free.add(block)

    def _try_merge(self, block: Block, neighbour: Block | None) -> int:
        """``try_merge_blocks``: bytes won."""
        if neighbour is None or neighbour.allocated or neighbour.mapped != block.mapped:
            return 0
        (block.pool.free if neighbour.mapped else block.pool.unmapped).remove(neighbour)
        if neighbour is block.prev:
            block.address = neighbour.address
            link(neighbour.prev, block)
        else:
            link(block, neighbour.next)
        block.size += neighbour.size
        return neighbour.size

    def _new_block(self, stream: int, address: int, size: int, pool: Pool, segment: Segment) -> Block:
        self._blocks += 1
        return Block(stream, address, size, pool, segment, self._blocks)

    def _block_before(self, block: Block, size: int) -> Block:
        """Cut ``size`` bytes off a block's front."""
        front = self._new_block(block.stream, block.address, size, block.pool, block.segment)
        link(block.prev, front)
        link(front, block)
        block.address += size
        block.size -= size
        return front

    def _block_after(self, block: Block, size: int) -> Block:
        """Cut ``size`` bytes off a block's end."""
        end = block.address + block.size - size
        rest = self._new_block(block.stream, end, size, block.pool, block.segment)
        link(rest, block.next)
        link(block, rest)
        block.size -= size
        return rest

    # -- the card -----------------------------------------------------------------------------------

    def _take(self, size: int) -> bool:
        if self.device_used + ceil_to(size, ROUND_LARGE) > self.settings.free_bytes:
            return False
        self.device_used += ceil_to(size, ROUND_LARGE)
        return True

    def _new_segment(self, size: int, address: int | None, granule: int | None = None) -> Segment:
        self._segments += 1
        if address is None and granule is not None:  # reservations lie one after the other, below all else
            address = self._reserved
            self._reserved += size
        elif address is None:
            address = self._lowest - ceil_to(size, ADDRESS_REGION)
        if granule is None:
            self._lowest = min(self._lowest, address)
        else:
            self._reserved = max(self._reserved, address + size)
        return Segment(self._segments, address, size, granule)

    def _alloc_block(self, pool: Pool, size: int, stream: int, address: int | None) -> Block | None:
        asked = segment_size(size)
        limit = self.settings.limit_bytes
        if limit is not None and self.stats.reserved_bytes.current + asked > limit:
            return None
        if self.settings.expandable:
            return self._expand(pool, size, stream, address)
        if not self._take(asked):
            return None
        segment = self._new_segment(asked, address)
        self.stats.num_device_alloc += 1
        self.stats.reserved_bytes.add(asked)
        self.stats.segment.add(1)
        return self._new_block(stream, segment.address, asked, pool, segment)

    def _release(self, block: Block) -> None:
        """``release_block``: a whole segment goes back to the card."""
        block.pool.free.remove(block)
        self.device_used -= ceil_to(block.size, ROUND_LARGE)
        self.stats.num_device_free += 1
        self.stats.reserved_bytes.add(-block.size)
        self.stats.segment.add(-1)

    def _release_available(self, pool: Pool, size: int, stream: int) -> bool:
        """``release_available_cached_blocks``: one block large enough, else the largest ones."""
        limit = self.settings.max_split_bytes
        if limit is None:
            return False
        wanted = max(size, limit)
        free = pool.free.blocks
        at = pool.free.from_key(stream, wanted)
        if at < len(free) and free[at].stream == stream and not free[at].expandable:
            self._release(free[at])
            return True
        released = 0
        for block in reversed(free[:at]):
            if released >= wanted or block.stream != stream or block.size < limit:
                break
            if not block.expandable:
                released += block.size
                self._release(block)
        return released >= wanted

    def _garbage_collect(self) -> None:
        """``garbage_collect_cached_blocks``: rounds that free whole segments of at least mean age."""
        assert self.settings.limit_bytes is not None
        excess = self.stats.reserved_bytes.current - int(
            self.settings.gc_threshold * self.settings.limit_bytes
        )
        now = self.large.searches
        while excess > 0:
            whole = [block for block in self.large.free.blocks if not block.is_split]
            ages = sum(now - block.inserted_at for block in whole)
            old = [b for b in whole if not b.expandable and (now - b.inserted_at) * len(whole) >= ages]
            if not old:
                return
            for block in old:
                excess -= block.size
                self._release(block)

    # -- expandable segments ------------------------------------------------------------------------

    def _expand(self, pool: Pool, size: int, stream: int, address: int | None) -> Block | None:
        """``try_allocate_expandable_block``: map granules until a free run covers ``size``."""
        block = self._find_expandable(pool, size, stream, address)
        if not block.mapped and not self._map(block, min(block.size, size)):
            return None
        while block.size < size:
            following = block.next
            assert following is not None
            if not self._map(following, min(size - block.size, following.size)):
                return None
            block = following  # it took its predecessor in
        pool.free.remove(block)
        return block

    def _find_expandable(self, pool: Pool, size: int, stream: int, address: int | None) -> Block:
        for unmapped in pool.unmapped.blocks[pool.unmapped.from_key(stream) :]:
            if unmapped.stream != stream:
                break
            before = unmapped.prev
            candidate = before if before is not None and not before.allocated else unmapped
            room, block = 0, candidate
            while room < size and not block.allocated:
                room += block.size
                if block.next is None:
                    break
                block = block.next
            if room >= size:
                return candidate
        granule = SMALL_SEGMENT if pool.small else LARGE_SEGMENT
        total = self.settings.total_bytes
        segment = self._new_segment(ceil_to(total + total // 8, granule), address, granule)
        block = self._new_block(stream, segment.address, segment.size, pool, segment)
        block.mapped = False
        pool.unmapped.add(block)
        return block

    def _map(self, block: Block, size: int) -> bool:
        """``map_block``: map the granules that cover the front ``size`` bytes of an unmapped block."""
        granule = block.segment.granule
        assert granule is not None
        size = ceil_to(size, granule)
        if not self._take(size):
            return False
        pool = block.pool
        pool.unmapped.remove(block)
        block.mapped = True
        if size < block.size:
            rest = self._block_after(block, block.size - size)
            rest.mapped = False
            pool.unmapped.add(rest)
        self._try_merge(block, block.prev)
        self._try_merge(block, block.next)
        self._insert(block)
        self.stats.num_device_alloc += 1
        self.stats.reserved_bytes.add(size)
        return True

    def _unmap(self, block: Block) -> None:
        """``unmap_block``: unmap the granules that lie wholly in a free block."""
        granule = block.segment.granule
        assert granule is not None
        offset = block.address - block.segment.address
        start = ceil_to(offset, granule)
        end = (offset + block.size) // granule * granule
        if start >= end:
            return
        block.pool.free.remove(block)
        after = offset + block.size - end
        if start > offset:
            self._insert(self._block_before(block, start - offset))
        if after:
            self._insert(self._block_after(block, after))
        block.mapped = False
        self._try_merge(block, block.prev)
        self._try_merge(block, block.next)
        block.pool.unmapped.add(block)
        self.device_used -= end - start
        self.stats.num_device_free += 1
        self.stats.reserved_bytes.add(start - end)
