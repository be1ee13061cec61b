"""What changed between two runs, and which lines of the program explain it.

Pure. What lived at the peak on one side is matched by its stack with what lived at the peak on the other (see
``stack_matching``), so the changes add up to the difference of the peaks, but for what is said to be
unexplained.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nanocheck.core.baselines import MEASURED_TOLERANCE
from nanocheck.core.result import CodeFrame, Outcome, OutOfMemory, Provenance, StackHolding
from nanocheck.core.stack_matching import Match, Pair, pairs
from nanocheck.core.verdict import JudgedRun, Kind

SCHEMA = 1
#: What a stack must hold more away from the peak to be told.
NOTICED_BYTES = 1 << 20
#: Blocks are larger than what was asked for; see ``ProcessMemory.groups``.
ROUNDING = "rounding"


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a comparison: immutable, strict when read."""


class Allowance(_Value, frozen=True, kw_only=True):
    """How much more is not called growth: bytes, or a share of what was there, whichever is more."""

    bytes: int = 0
    share: float = 0.0

    def grew(self, before: int, after: int) -> bool:
        """Whether it is more by more than is allowed."""
        return after - before > max(self.bytes, self.share * before)


class Side(_Value, frozen=True, kw_only=True):
    """One run.

    Attributes:
        provenance: where its numbers come from. torch: its version.
        verdict, sentence: what it means on its card.
        allocated_bytes, reserved_bytes: of the process that reserved most, at their peaks; where memory ran
            out, ``allocated_bytes`` is what lived then and what was asked for.
        process_bytes: of all processes together, as nvidia-smi would show it.
        headroom_bytes: what stays free of the card; ``None`` unless the run completed.
        exact: the run came to its end, so that these are its peaks; else they are what was reached.
        phase, step: of the allocated peak, or of the out-of-memory.
    """

    provenance: Provenance
    torch: str | None = None
    verdict: Kind
    sentence: str
    allocated_bytes: int
    reserved_bytes: int
    process_bytes: int
    headroom_bytes: int | None
    exact: bool
    phase: str
    step: int


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
        here = _innermost(now)
        then = here if pair.before is None or pair.after is None else _innermost(pair.before)
        where, line = (None, None) if here is None else (here.where, here.line)
        where_before, line_before = (None, None) if then is None else (then.where, then.line)
        return cls(
            group=now.group,
            where=where,
            line=line,
            frames=now.frames,
            where_before=where_before if where_before != where else None,
            line_before=line_before if line_before != line else None,
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


def _innermost(one: StackHolding) -> CodeFrame | None:
    return one.frames[0] if one.frames else None


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
    def suspect(self) -> AllocationChange | None:
        """The line to look at first: of those that grew, the one that grew most among lines that are new or
        edited, else among all. A guess: a line that was not touched can grow because of one that was.
        """
        grown = [each for each in (*self.changes, *self.elsewhere) if _growth(each) > 0 and each.where]
        return max(grown, key=lambda each: (each.is_edited, _growth(each)), default=None)


def _growth(change: AllocationChange) -> int:
    return max(change.change_bytes, change.most_change_bytes)


def diff(before: JudgedRun, after: JudgedRun, allowance: Allowance | None = None) -> RunDiff:
    """What changed.

    Args:
        allowance: growth that is let through; by default none where both are virtual, which is exact, and
            ``MEASURED_TOLERANCE`` else.
    """
    exact = before.result.provenance is Provenance.VIRTUAL is after.result.provenance
    tolerance = Allowance() if exact else Allowance(share=MEASURED_TOLERANCE)
    old, new = _side(before), _side(after)
    held = _held(before), _held(after)
    known = all(any(each.group != ROUNDING for each in some) for some in held)
    found = [AllocationChange.of(each) for each in pairs(*held)] if known else []
    changes = sorted(
        (each for each in found if each.change_bytes), key=lambda each: (-each.change_bytes, each.where or "")
    )
    elsewhere = [each for each in found if not each.change_bytes and each.most_change_bytes >= NOTICED_BYTES]
    explained = sum(each.change_bytes for each in changes)
    why = _why(old, new, allowance or tolerance)
    return RunDiff(
        id=after.result.id,
        gpu=after.result.device.gpu,
        card=after.result.device.name,
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
    )


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


def _ended_by(run: JudgedRun) -> OutOfMemory | None:
    """The out-of-memory that ended the run."""
    oom = run.result.main.oom
    return oom if run.result.outcome is Outcome.OOM and oom is not None and not oom.caught else None


def _held(run: JudgedRun) -> Sequence[StackHolding]:
    """What lived at the peak, or was wanted when memory ran out, and what its blocks have beyond it."""
    main, oom = run.result.main, _ended_by(run)
    groups = main.groups if oom is None else oom.groups
    rounding = [
        StackHolding(bytes=each.bytes, most_bytes=each.bytes, count=each.count, group=each.group)
        for each in groups
        if each.group == ROUNDING
    ]
    return [*(main.stacks if oom is None else oom.stacks), *rounding]


def _side(run: JudgedRun) -> Side:
    result, main, oom = run.result, run.result.main, _ended_by(run)
    allocated, moment = main.allocated_bytes, main.at or oom
    if oom is not None:
        then = sum(each.bytes for each in oom.groups)
        allocated, moment = then + oom.requested_bytes if then else allocated, oom
    return Side(
        provenance=result.provenance,
        torch=result.environment.torch,
        verdict=run.verdict.kind,
        sentence=run.verdict.sentence,
        allocated_bytes=allocated,
        reserved_bytes=main.reserved_bytes,
        process_bytes=run.verdict.process_bytes,
        headroom_bytes=run.verdict.headroom_bytes,
        exact=result.outcome is Outcome.COMPLETED,
        phase=moment.phase if moment is not None else main.peak_phase,
        step=moment.step if moment is not None else 0,
    )
