"""What changed between two runs, and which lines of the program explain it.

Pure. What lived at the peak on one side is matched by its stack with what lived at the peak on the other (see
``stack_matching``), so the changes add up to the difference of the peaks, but for what is said to be
unexplained. Where both have several ranks, each is compared with itself: the machine's verdict, and the
figures and lines of the rank that grew most.

Its JSON Schema is ``docs/run-diff.schema.json``.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nanocheck.core import schemas
from nanocheck.core.allocation_change import AllocationChange, Allowance, Value
from nanocheck.core.baselines import MEASURED_TOLERANCE
from nanocheck.core.diff_side import Side, Subject, without_folders
from nanocheck.core.ranks import spans
from nanocheck.core.result import Provenance
from nanocheck.core.stack_matching import pairs
from nanocheck.core.verdict import ANSWERS, JudgedRun, Kind

SCHEMA = 1
#: What a stack must hold more away from the peak to be told.
NOTICED_BYTES = 1 << 20
#: An edited line that grew by less than this part of what grew most is not why.
_NEXT_TO_NOTHING = 20
_PEAK = "peak"


class RunDiff(Value, frozen=True, kw_only=True):
    """Two runs of one thing on one card, or on one machine.

    Attributes:
        id: the command, the test or the configuration. gpu, card: the card's id and name; of a machine with
            several, all of them.
        rank: of a run with ranks, whose peaks and changes these are; the verdicts are the machine's here, and
            the rank's own in ``ranks``.
        ranks: each rank that both sides ran, beside itself, in order; () where fewer than two did.
        changes: the stacks that hold more or less at the peak, what grew most first.
        elsewhere: stacks that hold as much at the peak as before, and at least ``NOTICED_BYTES`` more at
            another moment: what is new there can be why the peak is another one.
        explained_bytes: what ``changes`` add up to.
        unexplained_bytes: the rest of the difference of the allocated peaks; all of it where a side does not
            say what lived at its peak.
        known: both sides say what lived at their peaks.
        worse: a peak grew by more than is allowed, or the verdict got worse. moved: anything differs.
        why: for each reason to be worse a clause.
        notes: what a reader must know beside the figures.
    """

    schema: int = SCHEMA
    id: str
    gpu: str
    card: str
    before: Side
    after: Side
    changes: tuple[AllocationChange, ...] = ()
    elsewhere: tuple[AllocationChange, ...] = ()
    explained_bytes: int = 0
    unexplained_bytes: int = 0
    known: bool
    worse: bool
    moved: bool
    why: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rank: int | None = None
    ranks: tuple[RunDiff, ...] = ()

    @property
    def change_bytes(self) -> int:
        """How much more is allocated at the peak."""
        return self.after.allocated_bytes - self.before.allocated_bytes

    @property
    def is_answer(self) -> bool:
        """Whether both sides say anything about memory."""
        return self.before.verdict in ANSWERS and self.after.verdict in ANSWERS

    @property
    def suspect(self) -> AllocationChange | None:
        """The line to look at first where it got worse or more is allocated: of those that grew, the one that
        grew most among lines that are new or edited, unless that is next to nothing, else among all. A guess:
        a line that was not touched can grow because of one that was.
        """
        if not (self.worse or self.change_bytes > 0):
            return None
        grown = [each for each in (*self.changes, *self.elsewhere) if _growth(each) > 0 and each.where]
        most = max(map(_growth, grown), default=0)
        edited = [each for each in grown if each.is_edited and _growth(each) * _NEXT_TO_NOTHING >= most]
        return max(edited or grown, key=_growth, default=None)


def _growth(change: AllocationChange) -> int:
    return max(change.change_bytes, change.most_change_bytes)


class RunDiffs(Value, frozen=True, kw_only=True):
    """Several runs, compared: of several cards, or of several configurations.

    Attributes:
        before, after: what the sides are called: files or revisions.
        only_before, only_after: runs of one side only, with their cards.
        worse: any is. moved: any has, or stands on one side only.
        no_answer: those of which a side says nothing about memory, so that nobody can say what grew.
    """

    schema: int = SCHEMA
    kind: str = "compared runs"
    before: str
    after: str
    diffs: tuple[RunDiff, ...]
    only_before: tuple[str, ...] = ()
    only_after: tuple[str, ...] = ()
    worse: bool
    moved: bool
    no_answer: tuple[str, ...] = ()


def schema_of_diff() -> dict[str, Any]:
    """The JSON Schema of what ``nanocheck diff --json`` writes."""
    return schemas.json_schema(RunDiffs, f"nanocheck diff, schema {SCHEMA}")


def diff(before: JudgedRun, after: JudgedRun, allowance: Allowance | None = None) -> RunDiff:
    """What changed; see ``diff_subjects``."""
    return diff_subjects(Subject.of(before), Subject.of(after), allowance)


def diff_subjects(before: Subject, after: Subject, allowance: Allowance | None = None) -> RunDiff:
    """What changed.

    Args:
        allowance: growth that is let through; by default none where both are virtual, which is exact, and
            ``MEASURED_TOLERANCE`` else.
    """
    by_rank = tuple(
        _of_a_rank(each, before.ranks[each], after.ranks[each], allowance)
        for each in sorted(before.ranks.keys() & after.ranks.keys())
    )
    if not by_rank:
        return _of_a_process(before, after, allowance)
    most = max(by_rank, key=_growth_of_rank)
    assert most.rank is not None
    found = _of_a_process(before.as_rank(most.rank), after.as_rank(most.rank), allowance)
    missing = _ranks_of_one_side(before, after)
    if len(by_rank) < 2:
        return msgspec.structs.replace(found, rank=most.rank, notes=(*found.notes, *missing))
    why = (*(each for each in found.why if not each.startswith(_PEAK)), *_why_by_rank(by_rank))
    whose = f"peaks and lines are those of rank {most.rank}, which changed most" if found.moved else ""
    return msgspec.structs.replace(
        found,
        rank=most.rank,
        ranks=by_rank,
        worse=bool(why),
        moved=found.moved or bool(why or missing) or any(each.moved for each in by_rank),
        why=why,
        notes=(*found.notes, *filter(None, [whose]), *missing),
    )


def _of_a_rank(rank: int, before: Subject, after: Subject, allowance: Allowance | None) -> RunDiff:
    found = msgspec.structs.replace(_of_a_process(before, after, allowance), rank=rank)
    # A rank that another one's failure ended has not become worse itself.
    return found if found.is_answer else msgspec.structs.replace(found, worse=False, why=())


def _growth_of_rank(found: RunDiff) -> tuple[bool, bool, int, int, int]:
    """The largest is the rank to look at: worse before grown before changed; of equal ones the fullest."""
    reserved = found.after.reserved_bytes - found.before.reserved_bytes
    size = abs(found.change_bytes)
    return (found.worse, found.change_bytes > 0, size, abs(reserved), found.after.process_bytes)


def _why_by_rank(by_rank: Sequence[RunDiff]) -> list[str]:
    """What is worse of which ranks, those with the same reason together."""
    found: dict[str, list[int]] = {}
    for each in by_rank:
        for why in each.why:
            found.setdefault(why, []).append(each.rank or 0)
    return [f"{spans(which)}: {why}" for why, which in found.items()]


def _ranks_of_one_side(before: Subject, after: Subject) -> list[str]:
    sides = (("before", before.ranks.keys() - after.ranks), ("after", after.ranks.keys() - before.ranks))
    return [f"{spans(sorted(which))} ran {when} only" for when, which in sides if which]


def _of_a_process(before: Subject, after: Subject, allowance: Allowance | None) -> RunDiff:
    old, new = before.side, after.side
    exact = old.provenance is Provenance.VIRTUAL is new.provenance
    tolerance = Allowance() if exact else Allowance(share=MEASURED_TOLERANCE)
    known = bool(before.held and after.held)
    found = [AllocationChange.of(each) for each in pairs(before.held, after.held)] if known else []
    changes = sorted(
        (each for each in found if each.change_bytes), key=lambda each: (-each.change_bytes, each.where or "")
    )
    elsewhere = [each for each in found if not each.change_bytes and each.most_change_bytes >= NOTICED_BYTES]
    explained = sum(each.change_bytes for each in changes)
    why = _why(old, new, allowance or tolerance)
    return RunDiff(
        id=after.id,
        gpu=after.gpu,
        card=after.card,
        before=old,
        after=new,
        changes=tuple(changes),
        elsewhere=tuple(sorted(elsewhere, key=lambda each: -each.most_change_bytes)),
        explained_bytes=explained,
        unexplained_bytes=new.allocated_bytes - old.allocated_bytes - explained,
        known=known,
        worse=bool(why),
        moved=bool(why or changes) or _moved(old, new, tolerance),
        why=why,
        notes=_notes(before, after, known),
    )


def diff_all(
    before: Mapping[str, Subject],
    after: Mapping[str, Subject],
    names: tuple[str, str],
    allowance: Allowance | None = None,
) -> RunDiffs:
    """What changed of everything that both sides have, by its name there.

    Args:
        names: of the two sides.
    """
    found = {name: diff_subjects(before[name], after[name], allowance) for name in before if name in after}
    only_before = tuple(name for name in before if name not in after)
    only_after = tuple(name for name in after if name not in before)
    return RunDiffs(
        before=without_folders(names[0]),
        after=without_folders(names[1]),
        diffs=tuple(found.values()),
        only_before=only_before,
        only_after=only_after,
        worse=any(each.worse for each in found.values()),
        moved=any(each.moved for each in found.values()) or bool(only_before or only_after),
        no_answer=tuple(name for name, each in found.items() if not each.is_answer),
    )


def _notes(before: Subject, after: Subject, known: bool) -> tuple[str, ...]:
    old, new = before.side, after.side
    found = [
        f"{what}: {was} before, {now} after"
        for what, was, now in (
            ("provenance", old.provenance, new.provenance),
            ("torch", old.torch or "-", new.torch or "-"),
            ("command", before.id, after.id),
        )
        if was != now
    ]
    for when, one in (("before", before), ("after", after)):
        found += [f"{when}: {each}" for each in one.said]
        if one.side.in_room:
            found.append(f"{when}: it does not fit; its peaks are those on the same card with more memory")
    if not known:
        found.append("no line is named: a side does not say what lived at its peak")
    return tuple(found)


def _why(old: Side, new: Side, allowance: Allowance) -> tuple[str, ...]:
    """The one place that says what is worse. What was not seen to its end has no peak that could grow."""
    order = list(Kind)
    found = []
    if order.index(new.verdict) > order.index(old.verdict):
        found.append(f"the verdict was {old.verdict}, and is {new.verdict}")
    if old.exact and new.exact:
        found += [
            f"{_PEAK} {name} grew by {after - before:,} bytes"
            for name, before, after in _peaks(old, new)
            if allowance.grew(before, after)
        ]
    return tuple(found)


def _moved(old: Side, new: Side, tolerance: Allowance) -> bool:
    far = any(tolerance.grew(min(a, b), max(a, b)) for _, a, b in _peaks(old, new))
    return far or (old.verdict, old.exact) != (new.verdict, new.exact)


def _peaks(old: Side, new: Side) -> list[tuple[str, int, int]]:
    names = ("allocated", "reserved", "process")
    return [(each, getattr(old, f"{each}_bytes"), getattr(new, f"{each}_bytes")) for each in names]
