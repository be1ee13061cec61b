"""How often PyTorch launches for lists of tensors: ``multi_tensor_apply`` of ATen, counted as it counts."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.tracing.record import MultiTensor


def launches(elements: Sequence[int], lists: int, limits: MultiTensor, *, scalars: bool = False) -> int:
    """Of one call over so many lists of tensors with these elements.

    A launch is full when it holds the most tensors, the last of them to its end, or the most chunks; a tensor
    whose chunks go on counts again in the next.

    Args:
        scalars: each tensor comes with a number of its own.
    """
    depth = min(max(lists, 1), len(limits.tensors)) - 1
    most_tensors = (limits.tensors_scalarlist if scalars else limits.tensors)[depth]
    most_blocks = limits.blocks[depth]
    found = tensors = blocks = 0
    for count in elements:
        if not count:
            continue
        tensors += 1
        left = -(-count // limits.chunk)
        while left:
            taken = min(left, most_blocks - blocks)
            blocks += taken
            left -= taken
            if blocks == most_blocks or (tensors == most_tensors and not left):
                found += 1
                blocks = 0
                tensors = 1 if left else 0
    return found + bool(blocks)
