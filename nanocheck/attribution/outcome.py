"""How a command ended, judged by every process of it that was seen."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from nanocheck.attribution.event_reader import Observation
from nanocheck.core.device import Device
from nanocheck.core.result import Ending, How, ObservationEnd, Outcome, ProcessMemory
from nanocheck.core.torch_builds import why_unsupported
from nanocheck.process import stack_dump

_DETAILS = {
    How.TIMEOUT: (Outcome.TIMEOUT, "no answer, it reached the time limit"),
    How.INTERRUPTED: (Outcome.INTERRUPTED, "no answer, it was interrupted"),
}


def outcome_of(
    folder: Path,
    seen: Sequence[Observation],
    processes: Sequence[ProcessMemory],
    ending: Ending,
    cut_off: Collection[int] = (),
    device: Device | None = None,
) -> tuple[Outcome, str]:
    """What a command's end means, and why, where it is not an answer about memory.

    A command is complete only if every process of it that used the card is: a shell that hides its training's
    end, a process that was killed or whose journal found no room answer nothing.

    Args:
        folder: where the processes left their files.
        processes: what became of ``seen``.
        cut_off: processes that were ended by force although the command was well.
        device: the card that was asked for.
    """
    if device is not None and (why := _no_kernels(seen, device)):
        return Outcome.UNSUPPORTED, why
    on_cards = [each for process in processes for each in process.on_each_card]
    if any(each.oom is not None and not each.oom.caught for each in on_cards):
        return Outcome.OOM, ""
    # What a script does when we stop it (``finally``) is in no history, but its end is known.
    if any(each.failed is not None and each.failed.oom for each in seen):
        return Outcome.OOM, ""
    unanswered = next(folder.glob("unanswered-*"), None)
    if unanswered is not None:
        return Outcome.UNSUPPORTED, unanswered.read_text(errors="replace").strip() + _asked_at(unanswered)
    if ending.how in _DETAILS:
        return _DETAILS[ending.how]
    crash = _crash(processes, ending)
    if crash:
        return Outcome.CRASHED, crash
    if not processes:
        return Outcome.NO_GPU, _why_no_gpu(folder)
    missing = next(_missing(folder, processes, cut_off), None)
    if missing is not None:
        return Outcome.INCOMPLETE, missing
    return Outcome.COMPLETED, ""


def _no_kernels(seen: Sequence[Observation], device: Device) -> str | None:
    """Why the card itself would not run this PyTorch, though the virtual one did.

    A build for this machine stands in for that of a card whose machines are others: nothing is said of it.
    """
    if device.kind != "virtual" or device.host is not None:
        return None
    said = (
        why_unsupported(
            device.name, device.capability, each.start.arches, torch=each.start.torch, cuda=each.start.cuda
        )
        for each in seen
        if each.start is not None and each.start.virtual is not None
    )
    return next(filter(None, said), None)


def _asked_at(unanswered: Path) -> str:
    """Where the script was when it asked for what nobody answers; empty where no Python said it."""
    try:
        stacks = unanswered.with_name(unanswered.name.replace("unanswered", "stack") + ".txt")
        place = stack_dump.innermost(stacks.read_text(errors="replace"))
    except OSError:
        return ""
    return "" if place is None else f", asked for at {place}"


def _failed(ending: Ending) -> bool:
    return ending.how in (How.FAILED, How.KILLED) or bool(ending.exit_code and ending.how is not How.ANSWERED)


def failed_by_itself(ending: Ending, cut_off: Collection[int] = ()) -> bool:
    """Whether the command failed, and not since we ended it.

    Args:
        cut_off: as of ``outcome_of``.
    """
    if ending.how is How.ANSWERED:
        return ending.exit_code != 0 and not cut_off
    return ending.how not in _DETAILS and _failed(ending)


def how_it_ended(seen: Observation) -> ObservationEnd:
    """Whether one process was seen to its end."""
    if seen.broken is not None:
        return ObservationEnd.BROKEN
    if seen.failed is not None:
        return ObservationEnd.FAILED
    return ObservationEnd.LOST if seen.end is None else ObservationEnd.WHOLE


def is_answered(seen: Observation) -> bool:
    """Whether it was stopped because its peak was known."""
    return seen.end is not None and seen.end.how == How.ANSWERED


def _crash(processes: Sequence[ProcessMemory], ending: Ending) -> str:
    """Why the command failed; empty where it did not. An error that a shell or a parent hides is one, too."""
    hidden = next((each for each in processes if each.ended is ObservationEnd.FAILED), None)
    failed = _failed(ending)
    if hidden is not None:
        rank = "" if hidden.rank is None else f"rank {hidden.rank}: "
        went_on = "" if failed else f" (process {hidden.pid}; the command went on)"
        return f"{rank}{hidden.error}{went_on}"
    return f"the command ended with exit code {ending.exit_code}{_cut_short(processes)}" if failed else ""


def _cut_short(processes: Sequence[ProcessMemory]) -> str:
    """Ranks without last words: one was killed, or its launcher ended it as another one failed."""
    lost = sorted(
        each.rank for each in processes if each.ended is ObservationEnd.LOST and each.rank is not None
    )
    if not lost:
        return ""
    return f"; rank{'s' * (len(lost) > 1)} {', '.join(map(str, lost))} ended without last words"


def _missing(folder: Path, processes: Sequence[ProcessMemory], cut_off: Collection[int]) -> Iterator[str]:
    for each in processes:
        if each.ended is ObservationEnd.BROKEN:
            yield f"the observation of process {each.pid} broke: {each.error or 'it says why in a note'}"
        if each.ended is ObservationEnd.LOST:
            yield (
                f"process {each.pid} died, or could not write what it did, before it said its last words: "
                "what it used after that is not known"
            )
    known = {each.pid for each in processes}
    for pid in sorted(_used(folder) - known):
        yield (
            f"process {pid} took memory of the card and was not observed (python -I or -E, or an environment "
            "without our PYTHONPATH): what it used is not in these figures"
        )
    for pid in sorted(cut_off):
        if pid not in known and (folder / f"torch-{pid}").exists():
            yield f"process {pid} had imported torch and ran on until it was ended: it may need more"


def _used(folder: Path) -> set[int]:
    """Processes that the virtual card gave memory to (csrc/memory/shown.c)."""
    names = (each.name.removeprefix("used-") for each in folder.glob("used-*"))
    return {int(name) for name in names if name.isdecimal()}


def _why_no_gpu(folder: Path) -> str:
    said = [each.read_text(errors="replace") for each in folder.glob("torch-*")]
    if not said:
        return "no process of this command imported PyTorch"
    for visible in said:
        if visible.startswith("=") and visible != "=0":
            return (
                f"no process of this command used the GPU: CUDA_VISIBLE_DEVICES={visible[1:]!r} hides it, "
                "the only card here is 0"
            )
    return "no process of this command used the GPU through PyTorch"
