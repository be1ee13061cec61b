"""Every request to PyTorch's allocator in order, and the block that served it: how two runs part ways.

What a run *asks for* and what PyTorch *reserves* for it are two things: a release that only chooses among
equal free blocks in another order asks for the same and can reserve more. Sizes are bytes.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import base64
import zlib

import msgspec

SCHEMA = 1


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A line of the program: ``file:line`` and its text; both ``None`` where no line asked."""

    where: str | None = None
    text: str | None = None


class Request(msgspec.Struct, frozen=True, array_like=True):
    """One request.

    Attributes:
        line: number of its line in the log. phase: number of its phase. step: of the optimizer, from 0.
        requested_bytes: what the tensor asked for. block_bytes: what it got.
        segment: number of the segment it got it from; -1: not known. offset_bytes: its place there.
        until: how many requests had been made when it was let go; -1: never.
        made_bytes: what the driver was asked for first, since no free block would do; 0: one did.
        largest_free_bytes: the largest free block of the same pool then; -1 where the driver was not asked.
    """

    line: int
    phase: int
    step: int
    requested_bytes: int
    block_bytes: int
    segment: int
    offset_bytes: int
    until: int = -1
    made_bytes: int = 0
    largest_free_bytes: int = -1


class Segment(msgspec.Struct, frozen=True, array_like=True):
    """Memory from the driver.

    ``request``: number of the request it was made for; -1: none that is known. ``at_peak``: it was held when
    most was reserved. ``expandable``: one that grows; its bytes are what was mapped at once.
    """

    bytes: int
    request: int
    at_peak: bool
    expandable: bool = False


class RequestLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of the process that reserved most; of ranks that reserved as much, the first.

    Attributes:
        rank: of a distributed run, whose requests these are.
        phases, lines: what the numbers in ``requests`` mean.
        reserved_bytes: the most that was reserved, which the segments held then sum to.
        peak_request: number of the request for which the driver was asked then.
    """

    schema: int = SCHEMA
    rank: int | None = None
    phases: tuple[str, ...] = ()
    lines: tuple[Line, ...] = ()
    requests: tuple[Request, ...] = ()
    segments: tuple[Segment, ...] = ()
    reserved_bytes: int = 0
    peak_request: int = 0

    @property
    def held_bytes(self) -> int:
        """What the segments of the peak sum to: ``reserved_bytes``, unless the history has a hole."""
        return sum(each.bytes for each in self.segments if each.at_peak)

    @property
    def grows(self) -> bool:
        """Whether there are expandable segments, whose pieces are no segments that one could tell apart."""
        return any(each.expandable for each in self.segments)

    def packed(self) -> str:
        """As text that is some twenty times shorter, for a journal."""
        return base64.b85encode(zlib.compress(msgspec.json.encode(self), 6)).decode()

    @classmethod
    def unpacked(cls, text: str) -> RequestLog:
        """
        Raises:
            ValueError: it is no such text.
        """
        try:
            return msgspec.json.decode(zlib.decompress(base64.b85decode(text.strip())), type=cls)
        except (ValueError, zlib.error, msgspec.MsgspecError) as error:
            raise ValueError(f"no request log: {error}") from error
