"""What a run with room says of cards that ask for the same bytes.

The allocator asks the driver for memory; as long as it gets what it asks for, it cannot tell one card's size
from another's. So a run on a card with more memory than the step needs is, byte for byte, the run on each
card that holds what it reserved. Where a card does not hold what the *tensors* asked for, nothing the
allocator does can help. Between the two (the tensors fit, what is reserved does not) the allocator gives
cached blocks back and tries again, and only a run on that card knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from nanocheck.core import nccl_memory
from nanocheck.core.device import Device, Target
from nanocheck.core.result import Outcome, RunResult
from nanocheck.core.units import MIB, mib
from nanocheck.core.verdict import Kind, Verdict, classify

#: Of a card with room. A virtual card's memory costs nothing until a step touches it.
ROOM_BYTES = 2**40
#: A run that comes closer than this to the card's end is made there: libraries take small pieces beside
#: PyTorch's allocator, which a configuration's result does not list.
BORDER_BYTES = 64 * MIB


def with_room(target: Target) -> Target:
    """The same card with so much memory that a step fits."""
    usable = {target.platform: ROOM_BYTES}
    return replace(
        target,
        gpu=replace(
            target.gpu, nominal_bytes=ROOM_BYTES, usable_bytes=usable, usable_most_bytes=dict(usable)
        ),
    )


def asked(result: RunResult) -> Any:
    """All of a run with room that hangs on the card; equal for cards of equal behaviour."""
    main = result.main
    return (
        result.outcome,
        main.peaks,
        main.retries,
        main.attention,
        main.cublas_workspace_bytes,
        result.micro_batches,
        result.notes,
    )


def derive(roomy: RunResult, target: Target, margin_bytes: int) -> Verdict | None:
    """The verdict on a card, from a run with room on a card of the same behaviour; None: it must be run."""
    device, main = target.device, roomy.main
    if roomy.outcome is Outcome.OOM:
        return None  # not even with room: some limit of the script's own
    wanted, there = requested(roomy), device.available_bytes
    if roomy.outcome is not Outcome.COMPLETED and wanted <= there:
        # It ended before it asked for more than there is, such as on a card that this PyTorch has no kernels
        # for: the sentence names the card.
        detail = roomy.detail.replace(roomy.device.name, device.name)
        return classify(msgspec.structs.replace(roomy, device=device, detail=detail), margin_bytes)
    if main.reserved_bytes + BORDER_BYTES <= there:
        return classify(_with_all_it_asks_for(roomy, target), margin_bytes)
    if wanted > there:
        return Verdict(
            kind=Kind.OOM,
            process_bytes=main.reserved_bytes + device.context_bytes,
            headroom_bytes=None,
            sentence=f"its tensors ask for {mib(wanted)} MiB at once, of {mib(max(there, 0))} available",
        )
    return None


def is_never_safe(roomy: RunResult, target: Target, margin_bytes: int) -> bool:
    """Whether no run on the card can be safe, though it may finish.

    A run there gets all the memory that it asks the driver for, and then it is this run, whose reserved bytes
    leave less than the margin; or the driver refuses some, and the allocator has to try again: tight at best.
    """
    if roomy.outcome is not Outcome.COMPLETED:
        return False
    return classify(_with_all_it_asks_for(roomy, target), margin_bytes).kind is not Kind.SAFE


def _with_all_it_asks_for(roomy: RunResult, target: Target) -> RunResult:
    """The run on the card as it is where the driver grants everything."""
    device, main = target.device, roomy.main
    least, most = _nccl(roomy, device)
    process = msgspec.structs.replace(
        main,
        process_bytes=main.reserved_bytes + device.context_bytes + least,
        nccl_least_bytes=least,
        nccl_most_bytes=most,
    )
    return msgspec.structs.replace(roomy, device=device, processes=(process,))


def _nccl(roomy: RunResult, device: Device) -> tuple[int, int]:
    """What NCCL takes on the card: cards of one behaviour may be wired in other ways."""
    main = roomy.main
    if device.gpu == roomy.device.gpu:
        return main.nccl_least_bytes, main.nccl_most_bytes
    return nccl_memory.taken_bytes(device.gpu, main.communicators, {})


def requested(result: RunResult) -> int:
    """The most bytes that tensors asked for at one moment, before the allocator rounds them."""
    peaks: Sequence[int] = [each.requested_bytes or 0 for each in result.main.peaks]
    return max(peaks, default=0)
