"""How long the same step takes on each of many cards, from few recordings of it; provenance *modelled*.

A list of kernels belongs to no card, but for the choice of attention's kernels, which hangs on the compute
capability: one card of each capability records, and the model answers for the others. A script can also
decide by the card itself what it runs, such as its batch: then its peak is another, and there is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nanocheck.core.gpus import Gpu
from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import KernelList
from nanocheck.core.result import RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.core.units import mib
from nanocheck.core.verdict import JudgedRun
from nanocheck.timing.card import why_not_modelled
from nanocheck.timing.of_run import step_time

#: The same step allocates the same on two cards of one capability, but for what libraries and generated
#: kernels choose by the number of multiprocessors.
_SAME_PEAK = 0.01


class CardTime(msgspec.Struct, frozen=True, kw_only=True):
    """A step on one card.

    Attributes:
        estimate: ``None``: there is none, and ``why_not`` says why.
        recorded_on: the card whose run recorded the kernels.
    """

    estimate: StepTime | None
    recorded_on: str
    why_not: str = ""


class RecordedStep(msgspec.Struct, frozen=True, kw_only=True):
    """What one run recorded: the kernels of a step, and how long this host needs to issue them."""

    gpu: str
    kernels: KernelList | None
    host_time: HostTime | None

    @classmethod
    def of(cls, gpu: str, result: RunResult) -> RecordedStep:
        """Of the run on that card."""
        return cls(gpu=gpu, kernels=result.main.kernels, host_time=result.main.host_time)


def recorders(cards: Sequence[Gpu]) -> list[Gpu]:
    """The first card of each compute capability; give the largest first, since a step must fit to be seen."""
    first: dict[tuple[int, int], Gpu] = {}
    for gpu in cards:
        first.setdefault(gpu.capability, gpu)
    return list(first.values())


def times(
    cards: Sequence[Gpu], found: Mapping[str, JudgedRun], recorded: Sequence[str]
) -> dict[str, CardTime]:
    """By card, of those that ran; nothing where nothing was recorded.

    Args:
        recorded: ids of the cards that were to record, one of each capability.
    """
    by_id = {gpu.id: gpu for gpu in cards}
    sources = {by_id[each].capability: each for each in recorded if each in found}
    return {
        gpu.id: _time(gpu, found[gpu.id], sources[gpu.capability], found[sources[gpu.capability]])
        for gpu in cards
        if gpu.id in found and gpu.capability in sources
    }


def _time(gpu: Gpu, run: JudgedRun, source: str, recorded: JudgedRun) -> CardTime:
    why_not = _why_not(run, source, recorded)
    estimate = None if why_not else step_time(recorded.result, gpu)
    if estimate is None and not why_not:
        why_not = _unrecorded(recorded.result.main.host_time, source)
    return CardTime(estimate=estimate, recorded_on=source, why_not=why_not)


def _unrecorded(host: HostTime | None, source: str) -> str:
    if host is None:
        return f"on {source} the script ended before a further step, or memory was not known while it ran"
    return f"on {source} something compiled in each step that was tried, or the script ended"


def _why_not(run: JudgedRun, source: str, recorded: JudgedRun) -> str:
    device = run.result.device
    if unknown := why_not_modelled(device.capability, device.name):
        return unknown
    if not run.verdict.fits:
        return f"no step of it was seen to fit ({run.verdict.kind})"
    here, there = run.result.main.allocated_bytes, recorded.result.main.allocated_bytes
    if abs(here - there) > _SAME_PEAK * there:
        return (
            f"its step is not the one that was recorded on {source}: it allocates {mib(here)} MiB, "
            f"that one {mib(there)} (nanocheck run --time --gpu {run.result.device.gpu} records its own)"
        )
    return ""
