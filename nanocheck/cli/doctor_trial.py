"""What doctor does on the virtual GPU: see the card, allocate, run out of memory. Runs in a child."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nanocheck.core.units import MIB

TASK = f"{__name__}:run"
ALLOCATION_BYTES = 256 * MIB


def run(payload: Any, emit: Callable[[str, Any], None]) -> dict[str, Any]:
    """The card as torch shows it, bytes allocated for one tensor of ``ALLOCATION_BYTES``, and the message of
    the ``torch.OutOfMemoryError`` that another tensor, as large as the whole card, raises (else None).
    """
    import torch

    from nanocheck.observe import introspect

    emit("stage", "initialise CUDA")
    total = torch.cuda.get_device_properties(0).total_memory
    emit("stage", "allocate")
    tensor = torch.empty(ALLOCATION_BYTES, dtype=torch.uint8, device="cuda")
    allocated = torch.cuda.memory_allocated()
    emit("stage", "run out of memory")
    refused = None
    try:
        torch.empty(total, dtype=torch.uint8, device=tensor.device)
    except torch.OutOfMemoryError as error:
        refused = str(error)
    return {
        "virtual": introspect.version(),
        "name": torch.cuda.get_device_name(),
        "total_bytes": total,
        "allocated_bytes": allocated,
        "refused": refused,
    }
