"""What a reader must know about every number on the page."""

from __future__ import annotations

#: Provenance -> what it means.
PROVENANCE = {
    "virtual": "Virtual: the real PyTorch ran with its real allocator on a virtual GPU. "
    "No such card was there; memory is executed, times and values are not.",
    "measured": "Measured: a real GPU ran it.",
}

#: (provenance that it holds for, or None for both; the sentence).
LIMITS: tuple[tuple[str | None, str], ...] = (
    (
        None,
        "Peaks are PyTorch's own (max_memory_allocated, max_memory_reserved). The CUDA context and loaded "
        "kernels lie outside of them: a figure of the card's profile, known to about 60 MiB.",
    ),
    (None, "What a desktop or another process holds is not known unless --reserve says so."),
    (
        "virtual",
        "A virtual GPU computes nothing: it says what fits, never how fast, and never whether a loss goes "
        "down. A script whose course depends on values read from the GPU may take another on a real card.",
    ),
    (
        "virtual",
        "NCCL's own buffers and what other libraries take outside of PyTorch's allocator are not in it.",
    ),
    (None, "On Windows the driver may spill into system memory: slow instead of out of memory."),
    (None, "Another version of PyTorch, of its CUDA libraries or of the script has other peaks."),
    (
        None,
        "Groups are found by watching PyTorch, not by asking the script; what could not be named is shown as "
        "unnamed. Rounding is what the allocator adds to a request to fill its blocks.",
    ),
)
