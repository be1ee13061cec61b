"""What CUDA itself takes of a card for one process, outside of PyTorch's allocator, as a range.

Read off 224 out-of-memory messages that people posted ("this process has" less what PyTorch has), of native
Linux, torch 2.1 to 2.11, about 190 sources, collected in November 2026. A bare context follows the number of
threads that the card can hold (2 KiB each, from 10 to 170 SMs, from Pascal to Blackwell; R2 0.98): RTX 4090
384 and 386 MiB read, 384 computed; H100 510 and 516, 528; RTX 3090 253, 246; T4 109 and 123, 80. Kernels and
library handles come on top, loaded when they are first used: trainings on one GPU hold 32 to 181 MiB more (29
sources, median 68, quartiles 59 and 83); 40 to 150 MiB cover 84 % of them. That it goes with the threads was
read; that it is room for their stacks is a guess. Nothing is known of Windows, where no message says it; NCCL
takes more (two ranks: 130 to 200 MiB).
"""

from __future__ import annotations

from nanocheck.core.units import KIB, MIB

BYTES_PER_THREAD = 2 * KIB
#: Kernels and handles of a training on one GPU.
LEAST_BESIDE_BYTES = 40 * MIB
MOST_BESIDE_BYTES = 150 * MIB
SOURCE = (
    "computed: 2 KiB for each thread the card can hold + 40 to 150 MiB of kernels and library handles, from "
    "224 posted out-of-memory messages (Linux, one GPU; the range covers 84 % of the trainings)"
)


def context_range(sms: int, max_threads_per_sm: int) -> tuple[int, int]:
    """The least and the most that CUDA takes of such a card once a training has run a step, in bytes."""
    bare = sms * max_threads_per_sm * BYTES_PER_THREAD
    return bare + LEAST_BESIDE_BYTES, bare + MOST_BESIDE_BYTES
