"""What a reader of the answer must know beside the figures."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.journal_entries import VirtualFacts
from nanocheck.core.result import How, OutOfMemory, ProcessMemory


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
    return sentence + _sizes(facts)


#: What a policy for unknown sizes took, by its name.
_TAKEN = {
    "worst": "all that there can be (--sizes balanced or least takes fewer)",
    "balanced": "their average where one is known: what is built from them may be more",
    "least": "1: what is built from them is a lower bound",
}


def _sizes(facts: Sequence[VirtualFacts]) -> str:
    """What sizes were made up, if any were (nonzero, a boolean mask, unique, repeats)."""
    sentence = ""
    decided = sum(each.unknown_sizes for each in facts)
    policy = next((each.sizes for each in facts if each.unknown_sizes), None)
    if decided and policy is not None:
        place = next((each.first_unknown_size for each in facts if each.first_unknown_size), "unknown")
        hang, was = ("size hangs", "was") if decided == 1 else ("sizes hang", "were")
        sentence += (
            f"; {decided} {hang} on such values, first at {place}, and {was} taken to be "
            f"{_TAKEN.get(policy, policy)}"
        )
    ones = sum(each.placeholder_sizes + each.unbounded_sizes for each in facts)
    if ones:
        words = "size that nothing bounds was" if ones == 1 else "sizes that nothing bounds were"
        sentence += f"; {ones} {words} taken to be 1: what is built from them is a lower bound"
    return sentence
