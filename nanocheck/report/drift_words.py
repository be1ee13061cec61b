"""What a terminal and a page say of a drift table, in the same words: figures, and a move explained."""

from __future__ import annotations

from collections.abc import Iterable

from nanocheck.core.diff_side import ROUNDING
from nanocheck.core.drift import Drift, Move, OtherBlock, PeakChange, Row, SegmentChange, Served
from nanocheck.core.torch_versions import public
from nanocheck.core.units import MIB, mib

#: Behind the figure that moved most in the whole table.
LARGEST = "!"
#: Fewer bytes would be 0.00 MiB.
_TINY = 0.005 * MIB
#: Lines of each kind that are shown of a move.
_SHOWN = 6
#: Longer lines of a program are cut.
_LINE = 48
#: A release of which nothing is known.
_NOTHING = "?"


def title(row: Row, drift: Drift) -> str:
    """What ran, with its rank; with the card where the table has several."""
    cards = {each.gpu for each in drift.rows}
    name = row.name if row.rank is None else f"{row.name}, rank {row.rank}"
    return f"{name}, {row.gpu}" if len(cards) > 1 else name


def figures(drift: Drift, what: str) -> list[dict[str, str]]:
    """A row for each thing that ran, a column for each release: the peak in MiB, and how far it moved.

    Args:
        what: ``allocated`` or ``reserved``.
    """
    most = max((abs(_by(move, what)) for row in drift.rows for move in row.moves), default=0)
    found = []
    for row in drift.rows:
        moves = {each.after: _by(each, what) for each in row.moves}
        cells = {each.torch: each for each in row.cells}
        shown = {"peak " + what + ", MiB": title(row, drift)}
        for release in drift.releases:
            cell = cells.get(release.torch)
            text = _NOTHING
            if cell is not None and cell.is_answer:
                text = mib(getattr(cell, f"{what}_bytes"))
                moved = moves.get(release.torch, 0)
                if moved:
                    text = f"{text} ({signed(moved)}{LARGEST if abs(moved) == most else ''})"
            shown[public(release.torch)] = text
        found.append(shown)
    return found


def _by(move: Move, what: str) -> int:
    return int(getattr(move, f"{what}_bytes"))


def signed(size_bytes: int) -> str:
    """``+1,572.00``, in MiB."""
    return f"{'+' if size_bytes > 0 else '-' if size_bytes < 0 else ''}{mib(abs(size_bytes))}"


def counted(number: int, noun: str) -> str:
    """``1 tensor``, ``2 tensors``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def headline(move: Move) -> str:
    """``torch 2.11.0 -> 2.12.1: reserved +1,572.00 MiB``."""
    parts = [
        f"{name} {signed(size)} MiB"
        for name, size in (("allocated", move.allocated_bytes), ("reserved", move.reserved_bytes))
        if size
    ]
    if move.verdicts[0] is not move.verdicts[1]:
        parts.append(f"{move.verdicts[0]} before, {move.verdicts[1]} after")
    return f"torch {public(move.before)} -> {public(move.after)}: {', '.join(parts)}"


def explanation(move: Move) -> list[str]:
    """Sentences and lines that say what changed, the figures first."""
    lines = [f"allocated: {_change(each)}" for each in move.changes[:_SHOWN]]
    if move.changes and move.unexplained_bytes:
        lines.append(f"allocated: {signed(move.unexplained_bytes)} MiB that no stack explains")
    lines += [f"reserved: {_segments(each)}" for each in move.segments[:_SHOWN]]
    if move.decisive is not None:
        lines.append(_decisive(move, move.decisive))
    lines += [_in_the_way(move, each) for each in move.in_the_way]
    if move.first_other is not None:
        lines.append(_first(move, move.first_other))
    if max(len(move.changes), len(move.segments)) > _SHOWN:
        lines.append("smaller ones are in the JSON")
    return [*lines, *move.notes]


def _change(change: PeakChange) -> str:
    more = change.after_bytes - change.before_bytes
    size = f"{signed(more)} MiB" if abs(more) >= _TINY else f"{more:+,} bytes"
    if change.group == ROUNDING:
        return f"{size} by which blocks are larger than what was asked for"
    tensors = counted(change.after_count, "tensor")
    if change.before_count != change.after_count:
        tensors = f"{change.before_count} -> {counted(change.after_count, 'tensor')}"
    # A place that is matched by its whole stack needs no word.
    match = f" ({change.match})" if change.match in ("new", "gone") else ""
    return f"{size} of {change.group}, {tensors}{match}{_at(change.where, change.line)}"


def _segments(change: SegmentChange) -> str:
    more = change.after_count - change.before_count
    place = _at(change.where, change.line) or ", by autograd's thread, of which no line is known"
    return (
        f"{signed(more * change.segment_bytes)} MiB: {change.before_count} -> "
        f"{counted(change.after_count, 'segment')} of {mib(change.segment_bytes)} MiB{place}"
    )


def _decisive(move: Move, found: OtherBlock) -> str:
    asked, had = (move.after, move.before) if found.after.made_bytes else (move.before, move.after)
    served = found.after if found.after.made_bytes else found.before
    least = served.largest_free_bytes
    room = "" if least is None else f" (the largest free block has {mib(least)} MiB)"
    both = bool(found.after.made_bytes and found.before.made_bytes)
    other = "asks for less" if both else "takes a free block"
    return (
        f"why: {_request(found)}: torch {public(had)} {other}, torch {public(asked)} asks the driver "
        f"for {mib(served.made_bytes)} MiB{room}"
    )


def _in_the_way(move: Move, found: OtherBlock) -> str:
    return (
        f"because: {_request(found)}: torch {public(move.before)} puts it into {_home(found.before)}, torch "
        f"{public(move.after)} into {_home(found.after)}"
    )


def _first(move: Move, found: OtherBlock) -> str:
    return (
        f"the first in another block: {_request(found)}: torch {public(move.before)} puts it into "
        f"{_home(found.before)}, torch {public(move.after)} into {_home(found.after)}"
    )


def _request(found: OtherBlock) -> str:
    old, new = found.steps
    step = f"step {new}" if old == new else f"step {new} (held against step {old}, the last one of the other)"
    return f"{mib(found.requested_bytes)} MiB in the {found.phase} of {step}{_at(found.where, found.line)}"


def _home(served: Served) -> str:
    name = f"segment {served.segment_number} of {mib(served.segment_bytes)} MiB"
    if served.made_bytes:
        return f"{name}, made for it"
    if served.segment_phase:
        maker = f", {served.segment_where}" if served.segment_where else ""
        name += f" (of the {served.segment_phase} of step {served.segment_step}{maker})"
    return f"{name}, {mib(served.offset_bytes)} MiB in" if served.offset_bytes else name


def _at(where: str | None, line: str | None) -> str:
    if where is None:
        return ""
    text = line or ""
    return f", {where}  {text if len(text) <= _LINE else text[:_LINE] + '...'}".rstrip()


def unanswered(drift: Drift) -> list[str]:
    """A sentence for each cell that says nothing about memory."""
    return [
        f"{title(row, drift)}, torch {public(cell.torch)}: no answer: {cell.detail or cell.outcome.value}"
        for row, cell in drift.unanswered
    ]


def summary(drift: Drift) -> str:
    """``2 of 3 things moved in 4 moves; the largest: ...``"""
    moves = [move for row in drift.rows for move in row.moves]
    rows = sum(bool(row.moves) for row in drift.rows)
    of = counted(len(drift.rows), "row")
    if not moves:
        return f"nothing moved: {of}, {counted(len(drift.releases), 'release')}"
    return f"{rows} of {of} moved, in {counted(len(moves), 'place')}"


def provenances(drift: Drift) -> str:
    """``virtual``; of all cells that have an answer."""
    found = dict.fromkeys(cell.provenance.value for row in drift.rows for cell in row.cells if cell.is_answer)
    return " and ".join(found) or "none"


def releases(drift: Drift) -> list[str]:
    """``2.12.1 (CUDA 13.0, Python 3.11.7)``."""
    return [
        f"{public(each.torch)} (CUDA {each.cuda or '?'}, Python {each.python or '?'})"
        for each in drift.releases
    ]


def largest_first(drift: Drift) -> Iterable[tuple[Row, Move]]:
    """All moves, the largest first."""
    found = [(row, move) for row in drift.rows for move in row.moves]
    return sorted(found, key=lambda each: -each[1].size_bytes)
