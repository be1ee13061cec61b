"""What changed between two runs, and which lines of the program explain it.

Pure. What lived at the peak on one side is matched by its stack with what lived at the peak on the other (see
``stack_matching``), so the changes add up to the difference of the peaks, but for what is said to be
unexplained.

Its JSON Schema is ``docs/run-diff.schema.json``.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from nanocheck.core import schemas
from nanocheck.core.baselines import MEASURED_TOLERANCE
from nanocheck.core.diff_side import Side, Subject, without_folders
from nanocheck.core.errors import RequestError
from nanocheck.core.result import Provenance
from nanocheck.core.stack_matching import Match, Pair, pairs
from nanocheck.core.stacks import CodeFrame, StackHolding
from nanocheck.core.units import parse_size_of
from nanocheck.core.verdict import ANSWERS, JudgedRun, Kind

SCHEMA = 1
#: What a stack must hold more away from the peak to be told.
NOTICED_BYTES = 1 << 20
#: An edited line that grew by less than this part of what grew most is not why.
_NEXT_TO_NOTHING = 20


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a comparison: immutable, strict when read."""


class Allowance(_Value, frozen=True, kw_only=True):
    """How much more is not called growth: bytes, or a share of what was there, whichever is more."""

    bytes: int = 0
    share: float = 0.0

    @classmethod
    def of(cls, option: str, text: str) -> Allowance:
        """What is meant by ``64MiB``, or by ``2%``, of what was there before.

        Raises:
            RequestError: it is neither; ``option`` is named in it.
        """
        share = text.strip().removesuffix("%")
        if share == text.strip():
            return cls(bytes=parse_size_of(option, text))
        if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", share) or float(share) > 1000:
            raise RequestError(
                f"{option}: expected a size or a share, found {text!r:.80}",
                hint="write it as 64MiB or as 2%",
            )
        return cls(share=float(share) / 100)

    def grew(self, before: int, after: int) -> bool:
        """Whether it is more by more than is allowed."""
        return after - before > max(self.bytes, self.share * before)


class AllocationChange(_Value, frozen=True, kw_only=True):
    """What one stack of the program holds at the peak, on both sides.

    Attributes:
        group: activations, logits and loss, ...; on the newest side that has it.
        where: ``path/file.py:LINE``, line: its text; ``frames``: the calls of the script's own, the
            innermost first, which is ``where``. All of the newest side that has it.
        where_before, line_before: where they are other ones.
        before_bytes, after_bytes: alive at the peak, as are the counts.
        most_before_bytes, most_after_bytes: the most that the stack held at any moment of the run.
        match: how the two sides were found to be one; ``new`` and ``gone``: only one has it.
        shape, dtype: of each tensor, where known.
    """

    group: str
    where: str | None = None
    line: str | None = None
    frames: tuple[CodeFrame, ...] = ()
    where_before: str | None = None
    line_before: str | None = None
    match: Match
    before_bytes: int
    after_bytes: int
    most_before_bytes: int
    most_after_bytes: int
    before_count: int
    after_count: int
    shape: tuple[int, ...] | None = None
    dtype: str | None = None

    @property
    def change_bytes(self) -> int:
        """How much more it is at the peak now."""
        return self.after_bytes - self.before_bytes

    @property
    def most_change_bytes(self) -> int:
        """How much more it is at the most now."""
        return self.most_after_bytes - self.most_before_bytes

    @property
    def is_edited(self) -> bool:
        """Whether the line itself is another one, or new."""
        return self.match in (Match.ONLY_AFTER, Match.FUNCTION)

    @classmethod
    def of(cls, pair: Pair) -> AllocationChange:
        """What changed of one place."""
        now = pair.after or pair.before
        assert now is not None  # a pair has at least one side
        frames = _frames(now)
        here, then = frames[:1], _frames(pair.before)[:1] if pair.before and pair.after else frames[:1]
        same_place = [each.where for each in here] == [each.where for each in then]
        same_line = [each.line for each in here] == [each.line for each in then]
        return cls(
            group=now.group,
            where=here[0].where if here else None,
            line=here[0].line if here else None,
            frames=frames,
            where_before=then[0].where if then and not same_place else None,
            line_before=then[0].line if then and not same_line else None,
            match=pair.by,
            before_bytes=pair.before.bytes if pair.before else 0,
            after_bytes=pair.after.bytes if pair.after else 0,
            most_before_bytes=pair.before.most_bytes if pair.before else 0,
            most_after_bytes=pair.after.most_bytes if pair.after else 0,
            before_count=pair.before.count if pair.before else 0,
            after_count=pair.after.count if pair.after else 0,
            shape=now.shape,
            dtype=now.dtype,
        )


def _frames(one: StackHolding) -> tuple[CodeFrame, ...]:
    return tuple(msgspec.structs.replace(each, where=without_folders(each.where)) for each in one.frames)


class RunDiff(_Value, frozen=True, kw_only=True):
    """Two runs of one thing on one card.

    Attributes:
        id: the command, the test or the configuration. gpu, card: the card's id and name.
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


class RunDiffs(_Value, frozen=True, kw_only=True):
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
            f"peak {name} grew by {after - before:,} bytes"
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
