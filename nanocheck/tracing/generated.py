"""Kernels that Inductor generates: their bytes, from their pointers and the space they run over."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nanocheck.core.kernels import Kernel, KernelKind, Touched
from nanocheck.tracing.record import Launch

#: As ``observe/recording/generated.py`` names its ranges.
RANGE = "nanocheck:generated:"


def number(name: str) -> int:
    """Of the launch behind a range's name."""
    return int(name.removeprefix(RANGE))


def generated(launch: Launch, storages: Sequence[int], phase: str) -> Kernel:
    """One launch as a kernel.

    No pointer is read or written further than the kernel's iterations go (Inductor's own estimate,
    ``kernel_num_gb``, does the same): an embedding's table has many rows, but few are looked at.

    Args:
        storages: of the pointers, in order.
    """
    pointers = [each for each in launch.arguments if len(each) == 4]
    sizes = [int(each[1]) for each in launch.arguments if len(each) == 2 and str(each[0]).endswith("numel")]
    space = math.prod(sizes) if sizes else None
    read = written = 0
    touched = []
    dtype = ""
    for index, (name, elements, size, kind) in enumerate(pointers):
        moved = int(size) * min(int(elements), space or int(elements))
        is_out = "out" in str(name)
        is_in = str(name).startswith("in") or not is_out
        read += moved * is_in
        written += moved * is_out
        if not dtype and "float" in str(kind):
            dtype = str(kind)
        if index < len(storages):
            touched.append(Touched(storage=storages[index], size=moved, read=is_in, written=is_out))
    return Kernel(
        kind=KernelKind.TRITON,
        name=launch.name,
        phase=phase,
        dtype=dtype or (str(pointers[0][3]) if pointers else ""),
        read=read,
        written=written,
        touched=tuple(touched),
    )
