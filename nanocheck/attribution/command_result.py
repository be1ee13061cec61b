"""Event logs of a command's processes in, its ``RunResult`` out."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import msgspec

from nanocheck import __version__
from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.held_stacks import HeldStacks
from nanocheck.attribution.notes import notes_of
from nanocheck.attribution.out_of_memory import oom_of_process
from nanocheck.attribution.outcome import failed_by_itself, how_it_ended, is_answered, outcome_of
from nanocheck.attribution.process_figures import Figures
from nanocheck.attribution.recovery import coverage_of, note_who_ran_out
from nanocheck.core import nccl_memory, ranks
from nanocheck.core.device import CardsAlike, Device, device_of
from nanocheck.core.measured_step import MeasuredStep
from nanocheck.core.process_memory import Communicators, OnOtherCard
from nanocheck.core.result import (
    Ending,
    Environment,
    How,
    Moment,
    ObservationEnd,
    ProcessMemory,
    Provenance,
    RunResult,
)
from nanocheck.tracing.kernel_list import kernels_of_process

#: CUDA's words for a number that is no card's.
_NO_SUCH_CARD = "invalid device ordinal"


def command_result(
    folder: Path,
    seen: Sequence[Observation],
    *,
    command: Sequence[str],
    device: Device,
    machine: tuple[CardsAlike, ...] = (),
    ending: Ending,
    seconds: float,
    notes: Sequence[str] = (),
    cut_off: Collection[int] = (),
) -> RunResult:
    """What happened in one run of a command; sizes are bytes.

    Args:
        folder: where the processes left their files. seen: their event logs, as ``read`` gives them.
        device, machine: the card that was asked for, or the machine's; see ``RunResult``.
        ending: how the command ended; one that finished although its answer was known counts as answered.
        seconds: wall time of the command.
        notes: what its launcher saw; they come first.
        cut_off: processes that were ended by force although the command was well.
    """
    if ending.how is How.FINISHED and any(is_answered(each) for each in seen):
        ending = Ending(how=How.ANSWERED, exit_code=ending.exit_code)
    note_who_ran_out(seen, command_failed=failed_by_itself(ending, cut_off))
    processes = sorted(
        (
            _timed(_process_or_broken(each, lambda card: device_of(machine, device, card)), each, folder)
            for each in seen
        ),
        key=lambda each: -each.reserved_bytes,
    )
    outcome, detail = outcome_of(folder, seen, processes, ending, cut_off, device)
    virtual = any(each.start is not None and each.start.virtual for each in seen)
    known = any(each.start is not None for each in seen)
    provenance = Provenance.VIRTUAL if virtual else Provenance.MEASURED if known else Provenance.UNKNOWN
    result = RunResult(
        command=tuple(command),
        provenance=provenance,
        device=device,
        machine=machine,
        environment=_environment(seen),
        outcome=outcome,
        processes=tuple(processes),
        world=max((said.world for each in seen for said in (each.start, each.end) if said), default=1),
        ending=ending,
        seconds={"command": round(seconds, 1)},
        notes=(*notes, *device.notes, *notes_of(seen, processes, ending.how, virtual)),
        detail=detail,
    )
    first = [each for each in (ranks.assumption(result), _too_few_cards(result)) if each]
    return msgspec.structs.replace(result, notes=(*first, *result.notes)) if first else result


def _too_few_cards(result: RunResult) -> str:
    """That a process asked for a card beyond the machine's last one, as CUDA's words for it do not say."""
    if not any(_NO_SUCH_CARD in each.error for each in result.processes):
        return ""
    cards = sum(each.cards for each in result.machine) or 1
    wanted = max(result.world, cards + 1)
    return (
        f"a process asked for a card that the machine has not ({_NO_SUCH_CARD}): it has {cards}; "
        f"--gpu {wanted}x{result.device.gpu} has {wanted}"
    )


def _timed(process: ProcessMemory, seen: Observation, folder: Path) -> ProcessMemory:
    """With what was asked about time."""
    if seen.card_steps is not None:
        virtual = seen.start is None or seen.start.virtual is not None
        with contextlib.suppress(ValueError):  # a journal can be written by anybody
            return msgspec.structs.replace(
                process, measured_step=MeasuredStep.of(seen.card_steps, virtual=virtual)
            )
    if seen.host_time is None:
        return process
    kernels = kernels_of_process(folder, seen.pid) if seen.host_time.recorded else None
    return msgspec.structs.replace(process, host_time=seen.host_time, kernels=kernels)


def _process_or_broken(seen: Observation, device_at: Callable[[int], Device]) -> ProcessMemory:
    """A script can write into the folder of its journal: entries that are typed right and contradict each
    other cost the answer, nothing else.
    """
    try:
        own = _process(seen, seen.card, device_at(seen.card))
        return msgspec.structs.replace(own, other_cards=_other_cards(seen, device_at))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        return ProcessMemory(
            pid=seen.pid,
            command=() if seen.start is None else seen.start.command,
            ended=ObservationEnd.BROKEN,
            error=f"its journal contradicts itself ({type(error).__name__})",
        )


def _other_cards(seen: Observation, device_at: Callable[[int], Device]) -> tuple[OnOtherCard, ...]:
    """All that are known to have been used: by PyTorch, or by anything as the virtual cards count it."""
    used = {*seen.others, *(int(card) for card in seen.virtual_facts.cards if card.isdecimal())}
    return tuple(
        OnOtherCard.of(_process(seen.others.get(card) or seen.without_events(), card, device_at(card)))
        for card in sorted(used - {seen.card})
    )


def _process(seen: Observation, card: int, device: Device) -> ProcessMemory:
    """What it did with one card."""
    figures = Figures.of(seen)
    allocated, reserved = figures.peak()
    counted = seen.last
    facts = seen.virtual_facts
    communicators = Communicators.of(facts.communicators.get(str(card), ()))
    nccl_least, nccl_most = nccl_memory.taken_bytes(device.gpu, communicators, facts.nccl)
    event = figures.peak_event
    return ProcessMemory(
        pid=seen.pid,
        rank=rank_of(seen),
        card=card,
        command=() if seen.start is None else seen.start.command,
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        process_bytes=_card_bytes(figures, card, reserved + device.context_bytes + nccl_least),
        communicators=communicators,
        nccl_least_bytes=nccl_least,
        nccl_most_bytes=nccl_most,
        ended=how_it_ended(seen),
        error=_error(seen),
        began_s=None if seen.start is None else seen.start.clock,
        ended_s=None if seen.end is None else seen.end.clock,
        limit_bytes=_limit(seen),
        sizes=facts.sizes if facts.unknown_sizes else None,
        unknown_sizes=facts.unknown_sizes,
        unbounded_sizes=facts.sizes_of_one,
        coverage=coverage_of(seen, figures.recovered),
        steps=sum(mark.what == "step" for mark in seen.marks),
        peaks=figures.peaks(),
        retries=counted.get("retries", 0) if figures.recovered is None else figures.recovered.retries,
        ooms=max(counted.get("ooms", 0), len(seen.ooms)),
        oom=oom_of_process(figures),
        attention=facts.attention or "unknown",
        at=_moment(figures, event),
        groups=figures.table(event, allocated),
        largest=() if event is None else figures.largest(event),
        stacks=HeldStacks(figures).at(event),
        fragmentation=figures.fragmentation(),
        unexplained_events=figures.replay.surprises,
        timeline=figures.timeline(),
    )


def rank_of(seen: Observation) -> int | None:
    """Of a distributed run. A script without a launcher says it after CUDA has begun."""
    said = [each.rank for each in (seen.start, seen.end) if each is not None]
    return next((each for each in said if each is not None), None)


def _error(seen: Observation) -> str:
    said = seen.failed or seen.broken
    return "" if said is None else said.error.split("\n")[0]


def _card_bytes(figures: Figures, card: int, known: int) -> int:
    """What the card itself knows counts, since others than PyTorch and NCCL may take memory; but not what a
    script tried while it looked for its batch.
    """
    facts = figures.seen.virtual_facts
    there = facts.peak_used if card == figures.seen.card else facts.cards.get(str(card), 0)
    return known if figures.since else max(there, known)


def _limit(seen: Observation) -> int | None:
    said = [each.limit for each in seen.ooms] + ([seen.end.limit] if seen.end is not None else [])
    return min((each for each in said if each is not None), default=None)


def _moment(figures: Figures, event: int | None) -> Moment | None:
    band = None if event is None else figures.band_at(event)
    if event is None or band is None:
        return None
    place = figures.places.of_stack(figures.seen.events[event][3])
    if place.where is None:
        place = figures.places.of_frame(band.where)
    return Moment(phase=band.phase, step=band.step, where=place.where, line=place.line)


def _environment(seen: Sequence[Observation]) -> Environment:
    first = seen[0].start if seen else None
    return Environment(
        nanocheck=__version__,
        torch=None if first is None else first.torch,
        cuda=None if first is None else first.cuda,
        python=None if first is None else first.python,
        os=platform.system(),
        machine=platform.machine(),
        byteorder=sys.byteorder,
        virtual_gpu=None if first is None else first.virtual,
    )
