"""How many elements a result has where that hangs on values: ``nonzero``, boolean masks, ``unique``.

PyTorch counts on the card and reads the count back. Where the input is known, it is counted on the host and
PyTorch reads the true one. Where it hangs on values that nobody computes (routing, thresholds), a policy
decides:

* ``worst``: all elements. No run of the real script can have more.
* ``least``: one.
* ``balanced``: as many as there are on average where indices of n experts or classes were picked
  (``balanced``); where nothing is known of that, all.

Each such size is counted, with the first place. Sizes without a bound (the sum of unknown repeats, the
largest of unknown bins) are one under every policy, and counted apart.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from typing import Any

import torch

from nanocheck.observe.values import card_memory, known_operators
from nanocheck.observe.values.policies import POLICIES, VARIABLE
from nanocheck.observe.values.real_kernels import Kernel
from nanocheck.observe.values.script_place import script_place

#: nonzero counts so many elements at once where there are 2^31 or more (ATen/native/cuda/Nonzero.cu).
_CHUNK = 1 << 30


class UnknownSizes:
    """The policy of this process, and what it decided.

    Attributes:
        decided: sizes that the policy gave. unbounded: sizes that nothing bounds, and that were one.
        copied: reads of one number that look like such a size and were copies to the host: see ``to_host``.
        first_place: the script's line of the first of the first two.
        average: how many elements of an unknown tensor count, where something is known of that.
    """

    def __init__(self, policy: str, average: Callable[[torch.Tensor], int | None] | None = None) -> None:
        self.policy = policy if policy in POLICIES else POLICIES[0]
        self.decided = 0
        self.unbounded = 0
        self.copied = 0
        self.first_place: str | None = None
        self.average = average

    @classmethod
    def of_environment(cls) -> UnknownSizes:
        """As ``nanocheck run --sizes`` says; worst where nobody does."""
        return cls(os.environ.get(VARIABLE, POLICIES[0]))

    def decide(self, tensor: torch.Tensor, most: int) -> int:
        """How many of at most so many there are."""
        if not most:
            return 0
        self.decided += 1
        self._place()
        if self.policy == "least":
            return 1
        average = self.average(tensor) if self.average is not None else None
        return most if average is None else max(1, min(average, most))

    def without_bound(self) -> None:
        """A size that no policy can bound."""
        self.unbounded += 1
        self._place()

    def _place(self) -> None:
        if self.first_place is None:
            self.first_place = script_place()


#: Of what PyTorch can read a size from.
COUNTS = (torch.int32, torch.int64)


def to_host(kernel: Kernel, sizes: UnknownSizes) -> Kernel:
    """``copy_``, whose reads are no sizes unless it copies integers.

    To save a checkpoint copies the bytes of each storage, among them the step counts of fused optimizers,
    which are four bytes on the card.
    """

    def run(changed: torch.Tensor, source: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if changed.is_cuda or not source.is_cuda or source.dtype in COUNTS:
            return kernel(changed, source, *args, **kwargs)
        before = card_memory.counts_made_up()
        result = kernel(changed, source, *args, **kwargs)
        sizes.copied += card_memory.counts_made_up() - before
        return result

    return run


def nonzero(operator: Any, kernel: Kernel, sizes: UnknownSizes) -> Kernel:
    """``nonzero`` with as many rows as there really are, or as the policy says."""

    def run(tensor: torch.Tensor, **kwargs: Any) -> Any:
        if not tensor.numel() or torch.cuda.is_current_stream_capturing():
            return kernel(tensor, **kwargs)
        kept = known_operators.known_inputs([tensor])
        if kept is not None:
            count = int(card_memory.seen(tensor).count_nonzero())
        else:
            count = sizes.decide(tensor, tensor.numel())
        result = told(_counts(count, tensor.numel()), lambda: kernel(tensor, **kwargs))
        if kept is not None:
            known_operators.still_known(kept)
            if not kwargs:
                known_operators.write(result, operator, (tensor,), {})
        return result

    return run


def unique(operator: Any, kernel: Kernel, sizes: UnknownSizes) -> Kernel:
    """``unique`` and its like."""
    name = operator.overloadpacket.__name__

    def run(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        if not tensor.numel() or torch.cuda.is_current_stream_capturing():
            return kernel(tensor, *args, **kwargs)
        kept = known_operators.known_inputs([tensor])
        said = None if kept is None else known_operators.said_on_host(operator, (tensor, *args), kwargs)
        of_bool = tensor.dtype == torch.bool and name == "_unique2"
        dim = (args[0] if args else kwargs.get("dim")) if name == "unique_dim" else kwargs.get("dim")
        if said is not None:
            count = said[0].numel() if dim is None else said[0].shape[dim]
        else:
            most = tensor.numel() if dim is None else tensor.shape[dim]
            count = sizes.decide(tensor, min(most, 2) if of_bool else most)
        if of_bool:  # it reads how many are true
            count = 1 if count == 2 else tensor.numel() if said is None or bool(said[0]) else 0
        result = told(struct.pack("=q", count), lambda: kernel(tensor, *args, **kwargs))
        if kept is not None:
            known_operators.still_known(kept)
            known_operators.write_values(result, said)
        return result

    return run


def told(value: bytes, call: Callable[[], Any]) -> Any:
    """What the call returns while its first read of as many bytes gets this value."""
    card_memory.tell_read(value)
    try:
        return call()
    finally:
        card_memory.tell_read(b"")


def _counts(count: int, elements: int) -> bytes:
    """The count as nonzero reads it: one int, or one for each piece of a very large tensor."""
    if elements < (1 << 31) - 1:
        return struct.pack("=q", count)
    pieces = []
    for at in range(0, elements, _CHUNK):
        piece = min(count, _CHUNK, elements - at)
        count -= piece
        pieces.append(piece)
    return struct.pack(f"={len(pieces)}i", *pieces)


def unbounded(name: str, args: Sequence[Any], result: Any, sizes: UnknownSizes) -> None:
    """Count what ``bincount`` and ``repeat_interleave`` (unless it was told its size) made of others."""
    if name == "bincount" or (name == "repeat_interleave" and not any(args[1:])):
        sizes.without_bound()
