"""A list of kernels and a card: seconds of an optimizer step, what they go into, and what decides."""

from __future__ import annotations

from collections import defaultdict

from nanocheck.core.kernels import KernelKind, KernelList, Part
from nanocheck.core.step_time import KindTime, PartTime, StepTime
from nanocheck.timing import constants as shipped
from nanocheck.timing.card import Card
from nanocheck.timing.constants import Constants
from nanocheck.timing.intervals import interval
from nanocheck.timing.queue import Timed, issues, part_seconds, timed


def estimate(
    kernels: KernelList,
    card: Card,
    *,
    host_seconds: float | None = None,
    constants: Constants | None = None,
    times: list[list[Timed]] | None = None,
) -> StepTime:
    """One optimizer step; provenance *modelled*.

    Args:
        kernels: as recorded. A recording belongs to the compute capability that chose attention's kernels.
        host_seconds: what the host needs to issue a whole step, measured on it; None leaves the host out.
        constants: those that ship, if none are given.
        times: what ``queue.timed`` said of this list and card, where it was asked before.
    """
    known = constants or shipped.load()
    parts = list(zip(kernels.parts, times or timed(card, kernels, known), strict=True))
    each = host_seconds / issues(kernels) if host_seconds and issues(kernels) else 0.0
    lasting = [part_seconds(found, each, part.times) for part, found in parts]
    queued = sum(lasting)
    busy = sum(part_seconds(found, 0.0, part.times) for part, found in parts) if each else queued
    operations = sum(kernel.operations * times for kernel, times in kernels)
    floor_operations = sum(
        kernel.operations * times / card.peak(kernel.dtype) for kernel, times in kernels if kernel.operations
    )
    floor_memory = (
        sum(sum(one.missed for one in found) * part.times for part, found in parts) / card.bandwidth
    )
    floor = max(floor_operations, floor_memory)
    seconds = max(queued, floor)
    decided = "floor" if seconds > queued else "host" if queued > _HOST_DECIDES * busy else "card"
    kinds = _kinds(parts)
    found_interval, no_interval = interval(seconds, kernels, decided)
    return StepTime(
        gpu=card.id,
        seconds=seconds,
        card_seconds=busy,
        host_seconds=host_seconds,
        tokens_per_second=kernels.tokens / seconds if kernels.tokens and seconds else None,
        operations=operations,
        floor_operations=floor_operations,
        floor_memory=floor_memory,
        mfu_exact=floor_operations / seconds if seconds else 0.0,
        mfu_palm=_palm(kernels, card, seconds),
        parts=tuple(
            PartTime(
                name=part.name,
                seconds=taken / part.times if part.times else 0.0,
                times=part.times,
            )
            for taken, (part, _) in zip(lasting, parts, strict=True)
        ),
        kinds=kinds,
        decided_by=decided,
        bottleneck=bottleneck(decided, kinds, seconds, busy),
        interval=found_interval,
        no_interval=no_interval,
    )


#: From here on the host is what one should look at first.
_HOST_DECIDES = 1.1


def _kinds(parts: list[tuple[Part, list[Timed]]]) -> tuple[KindTime, ...]:
    """The most expensive first."""
    seconds: dict[KernelKind, float] = defaultdict(float)
    launches: dict[KernelKind, int] = defaultdict(int)
    for part, found in parts:
        for one in found:
            seconds[one.kernel.kind] += one.seconds * part.times
            launches[one.kernel.kind] += one.kernel.launches * part.times
    whole = sum(seconds.values()) or 1.0
    order = sorted(seconds, key=lambda kind: (-seconds[kind], kind))
    return tuple(
        KindTime(kind=kind, seconds=seconds[kind], share=seconds[kind] / whole, launches=launches[kind])
        for kind in order
    )


def _palm(kernels: KernelList, card: Card, seconds: float) -> float | None:
    """6 N a token and 12 L H Q T, the whole square: six times what a forward's two products do per pair."""
    if not (kernels.parameters and kernels.tokens and seconds):
        return None
    counted = 6.0 * kernels.parameters * kernels.tokens
    peaks = []
    for kernel, times in kernels:
        if kernel.operations:
            peaks.append(card.peak(kernel.dtype))
        if (one := kernel.attention) is not None and one.backward:  # one a layer, recomputed or not
            counted += 12.0 * times * one.batch * one.heads * one.queries * one.keys * one.head
    return counted / (max(peaks) * seconds) if peaks else None


def bottleneck(decided: str, kinds: tuple[KindTime, ...], seconds: float, busy: float) -> str:
    """What decides, in one sentence; ``busy``: the card's seconds."""
    if decided == "host":
        return f"The host decides: the card computes {busy / seconds:.0%} of the time and waits for launches."
    if not kinds:
        return "Nothing runs on the card."
    first = kinds[0]
    names = {KernelKind.PRODUCT: "matrix products", KernelKind.TRITON: "generated kernels (memory traffic)"}
    return f"The card decides: {names.get(first.kind, first.kind.value)} take {first.share:.0%} of its time."
