"""What a reader of the answer must know beside the figures."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.attribution import groups as grouping
from nanocheck.attribution.event_reader import Observation
from nanocheck.attribution.places import Places
from nanocheck.core.coverage import Coverage
from nanocheck.core.result import How, OutOfMemory, ProcessMemory
from nanocheck.core.units import mib


def notes_of(
    seen: Sequence[Observation], processes: Sequence[ProcessMemory], how: How, virtual: bool
) -> list[str]:
    """One sentence each, the weightiest first."""
    notes = []
    on_cards = [each for process in processes for each in process.on_each_card]
    notes += [_caught(each.oom) for each in on_cards if each.oom is not None and each.oom.caught]
    notes += [
        f"the observation of process {each.pid} broke: {each.broken.error}" for each in seen if each.broken
    ]
    for each in seen:
        if each.missing:
            notes.append(f"process {each.pid}: {each.missing} allocations happened while nobody recorded")
        if each.end is None and each.broken is None:
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
    for process in processes:
        if process.other_cards:
            notes.append(
                f"process {process.pid} used several cards: each has figures of its own; in --json "
                f"those of card {process.card}, the current one in the end, come first"
            )
    for process in processes:
        if process.coverage is not None:
            whose = f"process {process.pid}: " if len(processes) > 1 else ""
            notes += _what_may_come(process.coverage, whose)
    if how is How.ANSWERED:
        notes += _unseen([each.coverage for each in seen])
    if virtual and processes:
        notes.append(_values(seen))
        notes += _guessed([each.virtual_facts.guessed for each in seen])
    return notes


def _caught(oom: OutOfMemory) -> str:
    times = "once" if oom.count == 1 else f"{oom.count} times"
    return f"the script ran out of memory {times}, caught it and went on"


def _what_may_come(coverage: Coverage, whose: str) -> list[str]:
    """Evidence that a later step needs more than those that were seen."""
    notes = []
    if coverage.growth_bytes_per_step:
        notes.append(
            f"{whose}memory grows by {coverage.growth_bytes_per_step:,} bytes a step: a longer run needs more"
        )
    if coverage.shapes_vary:
        smallest, largest = (" x ".join(map(str, shape)) for shape in coverage.shapes_seen)
        notes.append(f"{whose}the model's inputs vary in shape; seen were {smallest} to {largest}")
        if coverage.longest_sample > max(coverage.shapes_seen[-1], default=0):
            notes.append(f"{whose}a DataLoader's dataset holds a sample of {coverage.longest_sample}")
    if coverage.longest_batches == "arranged":
        notes.append(f"{whose}every second batch was made of the longest samples (--longest)")
    if coverage.longest_batches == "not possible":
        notes.append(f"{whose}--longest arranged nothing: no DataLoader's dataset is a plain list of samples")
    if coverage.stopped_early and coverage.proof == "not settled":
        notes.append(f"{whose}the peak had not come to rest when it was stopped after {coverage.steps} steps")
    if not coverage.optimizer_steps:
        notes.append(f"{whose}no optimizer step was seen")
    return notes


def _unseen(coverages: Sequence[Coverage]) -> list[str]:
    """What a run that was stopped would still have shown."""
    stopped = [each for each in coverages if each.stopped_early]
    steps = max((each.steps for each in stopped), default=0)
    proofs = ", ".join(dict.fromkeys(each.proof for each in stopped))
    phases = {
        "eval": ("evaluation", any(each.evaluation for each in coverages)),
        "save": ("checkpoint", any(each.saved for each in coverages)),
    }
    named = {phase for each in stopped for phase in each.unreached}
    missing = {
        option: f"{name}, which the script's code names" if option in named else name
        for option, (name, was_seen) in phases.items()
        if not was_seen
    }
    if not missing:
        return [f"stopped after {steps} steps ({proofs})"]
    return [
        f"stopped after {steps} steps ({proofs}); not seen: {'; '.join(missing.values())} "
        f"(--cover {','.join(missing)} goes on until then, --full to the end)"
    ]


def _values(seen: Sequence[Observation]) -> str:
    facts = [each.virtual_facts for each in seen]
    reads = sum(each.placeholders for each in facts)
    sentence = "the virtual GPU computes nothing: no value it holds is a result"
    if reads:
        found = [(each, each.virtual_facts.first_placeholder) for each in seen]
        where = next((f", first at {Places.of(each).named(place)}" for each, place in found if place), "")
        sentence = (
            f"the virtual GPU computes nothing: placeholder values were returned for {reads} "
            f"{'read' if reads == 1 else 'reads'}{where}"
        )
    return sentence + _sizes(seen)


#: What a policy for unknown sizes took, by its name.
_TAKEN = {
    "worst": "all that there can be (--sizes balanced or least takes fewer)",
    "balanced": "their average where one is known: what is built from them may be more",
    "least": "1: what is built from them is a lower bound",
}


def _sizes(seen: Sequence[Observation]) -> str:
    """What was taken for sizes that nobody knows (nonzero, a boolean mask, unique, repeats), if for any."""
    facts, sentence = [each.virtual_facts for each in seen], ""
    decided = sum(each.unknown_sizes for each in facts)
    policy = next((each.sizes for each in facts if each.unknown_sizes), None)
    if decided and policy is not None:
        found = [(each, each.virtual_facts.first_unknown_size) for each in seen]
        place = next((Places.of(each).named(where) for each, where in found if where), "unknown")
        hang, was = ("size hangs", "was") if decided == 1 else ("sizes hang", "were")
        sentence += (
            f"; {decided} {hang} on such values, first at {place}, and {was} taken to be "
            f"{_TAKEN.get(policy, policy)}"
        )
    ones = sum(each.sizes_of_one for each in facts)
    if ones:
        words = "size that nothing bounds was" if ones == 1 else "sizes that nothing bounds were"
        sentence += f"; {ones} {words} taken to be 1: what is built from them is a lower bound"
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
