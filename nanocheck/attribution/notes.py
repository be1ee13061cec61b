"""What a reader of the answer must know beside the figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.event_reader import Observation


def notes_of(
    seen: Sequence[Observation], processes: Sequence[dict[str, Any]], how: str, virtual: bool
) -> list[str]:
    """One sentence each, the weightiest first."""
    notes = []
    notes += [_caught(each) for each in processes if each["oom"] and each["oom"]["caught"]]
    notes += [
        f"the observation of process {each.pid} broke: {each.broken['error']}" for each in seen if each.broken
    ]
    for each in seen:
        if each.missing:
            notes.append(f"process {each.pid}: {each.missing} allocations happened while nobody recorded")
        if each.end is None:
            notes.append(f"process {each.pid} died without a last word: its figures reach to its last report")
        if each.start.get("allocator") not in (None, "native"):
            notes.append(
                f"the allocator {each.start['allocator']} keeps no history: nothing can be attributed"
            )
    for process in processes:
        rest = next((row["bytes"] for row in process["groups"] if row["group"] == grouping.UNSEEN), 0)
        if rest:
            notes.append(
                f"process {process['pid']}: PyTorch counts {rest} bytes at the peak that its history does "
                "not explain"
            )
    if how == "answered":
        unseen = [name for name in ("evaluation", "checkpoint") if not _has_phase(processes, name)]
        if unseen:
            notes.append(
                f"stopped when the peak no longer moved; not seen: {', '.join(unseen)} "
                "(--full runs to the end)"
            )
    if virtual and processes:
        notes.append(_values(seen))
    return notes


def _caught(process: dict[str, Any]) -> str:
    times = process["oom"]["count"]
    return f"the script ran out of memory {times} time{'s' * (times > 1)}, caught it and went on"


def _has_phase(processes: Sequence[dict[str, Any]], name: str) -> bool:
    return any(row["phase"] == name for each in processes for row in each["phases"])


def _values(seen: Sequence[Observation]) -> str:
    facts = [each.end["virtual"] for each in seen if each.end and each.end.get("virtual")]
    made_up = sum(each.get("made_up", 0) for each in facts)
    sentence = "the virtual GPU computes nothing: no value it holds is a result"
    if made_up:
        place = next((each["first_made_up"] for each in facts if each.get("first_made_up")), None)
        where = f", first at {place}" if place else ""
        sentence = (
            f"the virtual GPU computes nothing: {made_up} values that the script read from it were made "
            f"up{where}"
        )
    if sum(each.get("sizes_made_up", 0) for each in facts):
        sentence += (
            "; sizes that PyTorch read back (nonzero, a boolean mask, unique) were taken to be 1: what is "
            "built from them is a lower bound"
        )
    return sentence
