"""From runs to a row of the table: its cells, its moves, and what explains each."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from nanocheck.core import run_diff
from nanocheck.core.anonymous import anonymous
from nanocheck.core.device import Device
from nanocheck.core.drift import (
    Cell,
    Move,
    PeakChange,
    Row,
    in_order,
    neighbours,
)
from nanocheck.core.request_log import RequestLog
from nanocheck.core.result import Outcome, Provenance
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.drift.request_diff import RequestDiff
from nanocheck.drift.runs import Ran

_EXPECTED = ("torch:", "command:")
#: Changes of a move that are kept, the largest first.
_MOST = 12


def row_of(name: str, is_configuration: bool, device: Device, ran: Mapping[str, Ran]) -> Row:
    """
    Args:
        device: the card. ran: what came out, by the release's version.
    """
    cells = in_order(cell_of(version, each) for version, each in ran.items())
    moves = [move_of(old, new, ran[old.torch], ran[new.torch]) for old, new in neighbours(cells)]
    return Row(
        name=name,
        is_configuration=is_configuration,
        gpu=device.gpu,
        card=device.name,
        capability=device.capability,
        cells=cells,
        moves=tuple(moves),
    )


def cell_of(version: str, ran: Ran) -> Cell:
    """What a run says of one release; no answer where it ran on another torch."""
    if ran.run is None:
        return _none(version, Outcome.UNSUPPORTED, ran.failed)
    result, main = ran.run.result, ran.run.result.main
    if not result.outcome.is_answer:
        why = anonymous(result.detail or ran.run.verdict.sentence)
        return _none(version, result.outcome, f"{why}: {ran.failed}" if ran.failed else why)
    if result.environment.torch != version:
        other = result.environment.torch or "none that is known"
        return _none(
            version, Outcome.UNSUPPORTED, f"it ran on torch {other}: the command starts a Python of its own"
        )
    return Cell(
        torch=version,
        outcome=result.outcome,
        provenance=result.provenance,
        verdict=ran.run.verdict.kind,
        allocated_bytes=main.allocated_bytes,
        reserved_bytes=main.reserved_bytes,
        process_bytes=ran.run.verdict.process_bytes,
        phase=main.peak_phase,
        groups=main.groups,
    )


def _none(version: str, outcome: Outcome, why: str) -> Cell:
    return Cell(
        torch=version,
        outcome=outcome,
        provenance=Provenance.UNKNOWN,
        verdict=Kind(outcome.value),
        detail=anonymous(why),
    )


def move_of(old: Cell, new: Cell, before: Ran, after: Ran) -> Move:
    """What is different between two cells that have an answer, and why."""
    assert before.run is not None
    assert after.run is not None
    changes, unexplained, notes = _changes(before.run, after.run)
    reserved = new.reserved_bytes - old.reserved_bytes
    move = Move(
        before=old.torch,
        after=new.torch,
        allocated_bytes=new.allocated_bytes - old.allocated_bytes,
        reserved_bytes=reserved,
        verdicts=(old.verdict, new.verdict),
        phase=new.phase,
        changes=changes,
        unexplained_bytes=unexplained,
        notes=notes,
    )
    old_log, new_log = before.log, after.log
    if old_log is None or new_log is None or not reserved:
        return move
    return _served(move, old_log, new_log)


def _changes(before: JudgedRun, after: JudgedRun) -> tuple[tuple[PeakChange, ...], int, tuple[str, ...]]:
    """What holds more or less at the allocated peak, matched by stack; the bytes that this leaves open; and
    what a reader must know.
    """
    diff = run_diff.diff(before, after)
    ordered = sorted(diff.changes, key=lambda each: -abs(each.change_bytes))
    kept = tuple(
        PeakChange(
            group=each.group,
            where=each.where,
            line=each.line,
            match=each.match.value,
            before_bytes=each.before_bytes,
            after_bytes=each.after_bytes,
            before_count=each.before_count,
            after_count=each.after_count,
        )
        for each in ordered[:_MOST]
    )
    explained = sum(each.after_bytes - each.before_bytes for each in kept)
    rest = diff.change_bytes - explained
    # That the releases differ, and so the paths of their Pythons, is what was asked for.
    notes = tuple(each for each in diff.notes if not each.startswith(_EXPECTED))
    if len(ordered) > _MOST:
        notes = (*notes, f"{len(ordered) - _MOST} smaller changes are not listed")
    return kept, rest, notes


def _served(move: Move, before: RequestLog, after: RequestLog) -> Move:
    """With what explains reserved memory."""
    diff = RequestDiff(before, after)
    if before.grows or after.grows:
        notes = (*move.notes, "expandable segments grow by pieces, which are not held against each other")
        return msgspec.structs.replace(move, decisive=diff.decisive(), notes=notes)
    segments = diff.segments[:_MOST]
    notes = move.notes
    if len(diff.segments) > _MOST:
        notes = (*notes, f"{len(diff.segments) - _MOST} smaller differences of segments are not listed")
    return msgspec.structs.replace(
        move,
        segments=segments,
        first_other=diff.first_other(),
        decisive=diff.decisive(),
        in_the_way=diff.in_the_way(),
        notes=notes,
    )
