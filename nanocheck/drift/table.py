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
from nanocheck.core.rank_runs import rank_runs
from nanocheck.core.ranks import spans
from nanocheck.core.request_log import RequestLog
from nanocheck.core.result import Outcome, Provenance
from nanocheck.core.verdict import JudgedRun, Kind
from nanocheck.drift.request_diff import RequestDiff
from nanocheck.drift.runs import Ran
from nanocheck.drift.subjects import Subject

_EXPECTED = ("torch:", "command:")
#: Changes of a move that are kept, the largest first.
_MOST = 12


def rows_of(subject: Subject, ran: Mapping[str, Ran]) -> list[Row]:
    """One; of a distributed command one for each rank that ran with any release.

    Args:
        ran: what came out, by the release's version.
    """
    name, is_configuration, target = subject.name, subject.config is not None, subject.target
    by_rank = {version: _by_rank(each) for version, each in ran.items()}
    ranks = sorted({rank for each in by_rank.values() for rank in each})
    gpu = subject.request.card.gpu
    if not target.machine and len(ranks) < 2:
        return [_row(name, is_configuration, target.device, ran)]
    if not ranks:
        return [msgspec.structs.replace(_row(name, is_configuration, target.device, ran), gpu=gpu)]
    return [_row_of_rank(subject, rank, by_rank, ran) for rank in ranks]


def _row_of_rank(
    subject: Subject, rank: int, by_rank: Mapping[str, Mapping[int, Ran]], ran: Mapping[str, Ran]
) -> Row:
    # Of a release without an answer no rank has one.
    own = {
        version: found.get(rank, Ran(failed=f"rank {rank} did not run") if found else ran[version])
        for version, found in by_rank.items()
    }
    there = (each.run.result.device for each in own.values() if each.run is not None)
    row = _row(subject.name, False, next(there, subject.target.device), own)
    moves = tuple(_with_whose_requests(each, own, ran) for each in row.moves)
    return msgspec.structs.replace(row, rank=rank, gpu=subject.request.card.gpu, moves=moves)


def _with_whose_requests(move: Move, own: Mapping[str, Ran], ran: Mapping[str, Ran]) -> Move:
    """That another rank's requests are known, where it is not this one's."""
    both = (move.before, move.after)
    if not move.reserved_bytes or all(own[each].requests for each in both):
        return move
    logged = [log.rank for each in both if (log := ran[each].log) is not None]
    which = sorted({each for each in logged if each is not None})
    if not which:
        return move
    note = f"requests are kept of the rank that reserved most, {spans(which)}: nothing says why here"
    return msgspec.structs.replace(move, notes=(*move.notes, note))


def _by_rank(ran: Ran) -> dict[int, Ran]:
    """Each rank's run; requests are logged of one of them."""
    found = {} if ran.run is None else rank_runs(ran.run)
    logged = ran.log.rank if ran.requests and ran.log is not None else None
    return {
        rank: msgspec.structs.replace(ran, run=each, requests=ran.requests if logged == rank else "")
        for rank, each in found.items()
    }


def _row(name: str, is_configuration: bool, device: Device, ran: Mapping[str, Ran]) -> Row:
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
