"""Event logs of a command's processes in, its ``RunResult`` out."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from pathlib import Path

from nanocheck import __version__
from nanocheck.attribution.event_reader import Observation, read
from nanocheck.attribution.notes import notes_of
from nanocheck.attribution.out_of_memory import oom_of_process
from nanocheck.attribution.process_figures import Figures
from nanocheck.core.device import Device
from nanocheck.core.result import (
    Ending,
    Environment,
    How,
    Moment,
    Outcome,
    ProcessMemory,
    Provenance,
    RunResult,
)

_DETAILS = {
    How.TIMEOUT: (Outcome.TIMEOUT, "no answer, it reached the time limit"),
    How.INTERRUPTED: (Outcome.INTERRUPTED, "no answer, it was interrupted"),
}


def command_result(
    folder: Path,
    *,
    command: Sequence[str],
    device: Device,
    ending: Ending,
    seconds: float,
    notes: Sequence[str] = (),
) -> RunResult:
    """What happened in one run of a command; sizes are bytes.

    Args:
        folder: where the processes wrote their event logs.
        device: the card that was asked for.
        ending: how the command ended; one that finished although its answer was known counts as answered.
        seconds: wall time of the command.
        notes: what its launcher saw; they come first.
    """
    seen = read(folder)
    if ending.how is How.FINISHED and any(_answered(each) for each in seen):
        ending = Ending(how=How.ANSWERED, exit_code=ending.exit_code)
    processes = sorted((_process(each, device) for each in seen), key=lambda each: -each.reserved_bytes)
    outcome, detail = _outcome(seen, processes, ending)
    virtual = any(each.start is not None and each.start.virtual for each in seen)
    provenance = Provenance.VIRTUAL if virtual else Provenance.MEASURED if seen else Provenance.UNKNOWN
    return RunResult(
        command=tuple(command),
        provenance=provenance,
        device=device,
        environment=_environment(seen),
        outcome=outcome,
        processes=tuple(processes),
        ending=ending,
        seconds={"command": round(seconds, 1)},
        notes=(*notes, *notes_of(seen, processes, ending.how, virtual)),
        detail=detail,
    )


def _process(seen: Observation, device: Device) -> ProcessMemory:
    figures = Figures.of(seen)
    allocated, reserved = figures.peak()
    counted = seen.last
    facts = seen.virtual_facts
    event = figures.peak_event
    return ProcessMemory(
        pid=seen.pid,
        command=() if seen.start is None else seen.start.command,
        allocated_bytes=allocated,
        reserved_bytes=reserved,
        process_bytes=facts.peak_used or reserved + device.context_bytes,
        steps=sum(mark.what == "step" for mark in seen.marks),
        peaks=figures.peaks(),
        retries=counted.get("retries", 0),
        ooms=max(counted.get("ooms", 0), len(seen.ooms)),
        oom=oom_of_process(figures),
        attention=facts.attention or "unknown",
        at=_moment(figures, event),
        groups=figures.table(event, allocated),
        largest=() if event is None else figures.largest(event),
        fragmentation=figures.fragmentation(),
        unexplained_events=figures.replay.surprises,
        timeline=figures.timeline(),
    )


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


def _answered(seen: Observation) -> bool:
    return seen.end is not None and seen.end.how == How.ANSWERED


def _outcome(
    seen: Sequence[Observation], processes: Sequence[ProcessMemory], ending: Ending
) -> tuple[Outcome, str]:
    fatal = any(each.oom is not None and not each.oom.caught for each in processes)
    if fatal and ending.how is not How.ANSWERED:
        return Outcome.OOM, ""
    if ending.how in _DETAILS:
        return _DETAILS[ending.how]
    if ending.how in (How.FAILED, How.KILLED) or (ending.exit_code and ending.how is not How.ANSWERED):
        return Outcome.CRASHED, _why(seen, ending.exit_code)
    if not processes:
        return Outcome.NO_GPU, "no process of this command used the GPU through PyTorch"
    broken = next((each.broken for each in seen if each.broken), None)
    if broken is not None:
        return Outcome.CRASHED, f"the observation broke: {broken.error}"
    return Outcome.COMPLETED, ""


def _why(seen: Sequence[Observation], exit_code: int) -> str:
    failed = next((each.failed for each in seen if each.failed), None)
    if failed is not None:
        return failed.error.splitlines()[0]
    return f"the command ended with exit code {exit_code}"
