"""Who asked for memory: the calls of a script, and what each stack of them held. Parts of a result."""

from __future__ import annotations

import msgspec


class CodeFrame(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call of the script's own: ``where`` is ``file:line``, ``line`` its source text."""

    where: str
    function: str
    line: str | None = None


class StackHolding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Allocations of one group that one stack of the script asked for, whatever their sizes.

    Attributes:
        bytes: what the ``count`` tensors alive at the moment asked for, before blocks are rounded.
        most_bytes: the most that the stack held at any moment of the run.
        frames: of the script and its models, innermost first; none where the allocation had no stack that is
            known, such as those of PyTorch's own threads.
        shape, dtype: where all have the same and the code or a live object says it.
    """

    bytes: int
    most_bytes: int
    count: int
    group: str
    frames: tuple[CodeFrame, ...] = ()
    shape: tuple[int, ...] | None = None
    dtype: str | None = None
