"""What a reader of the answer must know beside the figures."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.event_reader import Observation
from nanocheck.core.result import How, OutOfMemory, ProcessMemory
from nanocheck.core.units import mib


def notes_of(
    seen: Sequence[Observation], processes: Sequence[ProcessMemory], how: How, virtual: bool
) -> list[str]:
    """One sentence each, the weightiest first."""
    notes = []
    notes += [_caught(each.oom) for each in processes if each.oom is not None and each.oom.caught]
    notes += [
        f"the observation of process {each.pid} broke: {each.broken.error}" for each in seen if each.broken
    ]
    for each in seen:
        if each.missing:
            notes.append(f"process {each.pid}: {each.missing} allocations happened while nobody recorded")
        if each.end is None:
            notes.append(f"process {each.pid} died without a last word: its figures reach to its last report")
        if each.start is not None and each.start.allocator not in (None, "native"):
            notes.append(f"the allocator {each.start.allocator} keeps no history: nothing can be attributed")
    for process in processes:
        rest = next((row.bytes for row in process.groups if row.group == grouping.UNSEEN), 0)
        if rest:
            notes.append(
                f"process {process.pid}: PyTorch counts {rest} bytes at the peak that its history does "
                "not explain"
            )
    if how is How.ANSWERED:
        unseen = [name for name in ("evaluation", "checkpoint") if not _has_phase(processes, name)]
        if unseen:
            notes.append(
                f"stopped when the peak no longer moved; not seen: {', '.join(unseen)} "
                "(--full runs to the end)"
            )
    if virtual and processes:
        notes.append(_values(seen))
        notes += _guessed([each.virtual_facts.guessed for each in seen])
    return notes


def _caught(oom: OutOfMemory) -> str:
    times = "once" if oom.count == 1 else f"{oom.count} times"
    return f"the script ran out of memory {times}, caught it and went on"


def _has_phase(processes: Sequence[ProcessMemory], name: str) -> bool:
    return any(peak.phase == name for each in processes for peak in each.peaks)


def _values(seen: Sequence[Observation]) -> str:
    facts = [each.virtual_facts for each in seen]
    reads = sum(each.placeholders for each in facts)
    sentence = "the virtual GPU computes nothing: no value it holds is a result"
    if reads:
        place = next((each.first_placeholder for each in facts if each.first_placeholder), None)
        where = f", first at {place}" if place else ""
        sentence = (
            f"the virtual GPU computes nothing: placeholder values were returned for {reads} "
            f"{'read' if reads == 1 else 'reads'}{where}"
        )
    if sum(each.placeholder_sizes for each in facts):
        sentence += (
            "; sizes that PyTorch read back (nonzero, a boolean mask, unique) were taken to be 1: what is "
            "built from them is a lower bound"
        )
    return sentence


def _guessed(processes: Sequence[dict[str, tuple[int, int]]]) -> list[str]:
    """Sizes that only NVIDIA's libraries know: which were asked for, how often, and the most taken."""
    parts = []
    for name in dict.fromkeys(name for each in processes for name in each):
        asked = [each[name] for each in processes if name in each]
        times, most = sum(each[0] for each in asked), max(each[1] for each in asked)
        taken = f"at most {mib(most)} MiB each" if most else "as 0"
        parts.append(f"{name} {times} {'time' if times == 1 else 'times'}, {taken}")
    if not parts:
        return []
    return [
        "sizes of workspaces that only NVIDIA's libraries know were guessed, so the peak is not exact where "
        f"they are large: {'; '.join(parts)} (docs/limits.md says how)"
    ]
