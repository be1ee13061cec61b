"""Flags and counts of "is anything infinite, or no number?", carried on as numbers.

The virtual card answers ``isnan``, ``isinf`` and ``isfinite`` of what nobody computed as if all of it
were finite (csrc/values/predicates.c), and says that this follows for each element. Trainers go on with
such answers as with numbers: DeepSpeed adds them up, makes 8 bits of the sum, takes the most of all ranks
and reads it. Where every input of an operator was written by the program or follows in that way, the
operator is computed on the host, for numbers of floating point too, and what it says follows again. What
other comparisons say stays a guess and is not carried on: a count of them may be a divisor, and nobody
knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from nanocheck.observe.values import card_memory
from nanocheck.observe.values.card_memory import FOLLOWS, WRITTEN

#: Bytes of each tensor that is computed with: as many as the virtual card writes of an answer.
MOST_BYTES = 4096
#: Of a larger answer, all of whose elements are the same.
_COUNTS = ("sum", "count_nonzero")
_SAME = ("max", "min", "amax", "amin")


class Healthy:
    """The inputs of an operator, where all are known or follow, and one does."""

    def __init__(self, inputs: Sequence[tuple[int, int, int]]) -> None:
        self._inputs = inputs

    @classmethod
    def of(cls, tensors: Sequence[torch.Tensor]) -> Healthy | None:
        """None: one is unknown, guessed or too large, or none follows."""
        found = []
        for each in tensors:
            if each.nbytes > MOST_BYTES or type(each) is not torch.Tensor:
                return None
            if each.is_cuda and each.numel():
                origin = card_memory.how_known(each)
                if origin not in (WRITTEN, FOLLOWS):
                    return None
                start, size = card_memory.start_of(each), each.untyped_storage().nbytes()
                if card_memory.known(start, start, size) != origin:
                    size = each.data_ptr() - start + card_memory.extent(each)
                found.append((start, size, origin))
        return cls(found) if any(origin == FOLLOWS for _, _, origin in found) else None

    def stay(self) -> None:
        """A kernel that was handed them has changed none."""
        for start, size, origin in self._inputs:
            card_memory.tell_computed(start, size, origin=origin)


def write(results: Any, said: Any) -> None:
    """Put what was computed into new tensors, or into one that has its storage for itself."""
    if isinstance(results, (list, tuple)) and isinstance(said, (list, tuple)):
        for made, value in zip(results, said):
            write(made, value)
    elif isinstance(results, torch.Tensor) and isinstance(said, torch.Tensor):
        start, size = card_memory.start_of(results), results.untyped_storage().nbytes()
        fits = results.is_cuda and results.shape == said.shape and results.nbytes == size <= MOST_BYTES
        if not fits or torch.cuda.is_current_stream_capturing():
            return
        card_memory.seen(results).copy_(said)
        card_memory.hold(results)
        card_memory.tell_computed(start, size, origin=FOLLOWS)


def count_of(name: str, args: Sequence[Any]) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """What a reduction of a larger answer says, by its result's size; ``None``: it is none, or nobody knows.

    Ask before its kernel runs. All elements of such an answer are the same.
    """
    flags = args[0] if args and name in (*_COUNTS, *_SAME) else None
    if (
        not isinstance(flags, torch.Tensor)
        or flags.dtype != torch.bool
        or not flags.is_cuda
        or flags.nbytes <= MOST_BYTES
        or not flags.is_contiguous()
        or card_memory.known(card_memory.start_of(flags), flags.data_ptr(), 1) != FOLLOWS
    ):
        return None
    one = int(card_memory.seen(flags.flatten()[:1])[0])

    def said(result: torch.Tensor) -> torch.Tensor:
        each = flags.numel() // max(result.numel(), 1) if name in _COUNTS else 1
        return torch.full(result.shape, one * each, dtype=result.dtype, device="cpu")

    return said


def is_small_number(tensor: Any) -> bool:
    """Whether it may hold counts in floating point."""
    return (
        isinstance(tensor, torch.Tensor)
        and tensor.is_cuda
        and tensor.is_floating_point()
        and tensor.nbytes <= MOST_BYTES
    )
