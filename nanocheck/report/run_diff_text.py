"""What changed between two runs, in words: the verdicts and the difference first, then the lines that explain
it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nanocheck.core.allocation_change import AllocationChange
from nanocheck.core.run_diff import RunDiff, RunDiffs
from nanocheck.core.stack_matching import Match
from nanocheck.core.units import mib
from nanocheck.core.verdict import FITS, Kind
from nanocheck.report.blocks import Block, prose, stack, words
from nanocheck.report.markdown_cells import escape, frame_of
from nanocheck.report.markdown_cells import table as markdown_table
from nanocheck.report.pairing_text import RenderedComparison
from nanocheck.report.rank_changes import (
    RANK_NUMBERS,
    SOURCE,
    peak_rows,
    place,
    rank_changes,
    signed,
    verdicts,
)
from nanocheck.report.terminal_table import table

#: Lines that a terminal and a page show of one comparison.
_SHOWN = 12
_SAID = {
    Kind.OOM: "out of memory",
    Kind.LOST_WORK: "out of memory and caught",
    Kind.INCOMPLETE: "not seen to the end",
}


def render(found: RunDiffs) -> RenderedComparison:
    """The comparison in words."""
    return RenderedComparison(
        moved=found.moved,
        blocks=blocks(found),
        markdown=markdown(found),
        plain=msgspec.to_builtins(found),
    )


def headline(diff: RunDiff) -> str:
    """``fits before, out of memory after: +786.00 MiB allocated at the peak``"""
    old, new = diff.before, diff.after
    was, now = _state(old.verdict), _state(new.verdict)
    said = f"{was} before, {now} after" if was != now else f"{was} before and after"
    if was == now and old.verdict is not new.verdict:
        said += f" ({old.verdict}, then {new.verdict})"
    if not diff.is_answer:
        return said
    if not (old.exact and new.exact):
        return f"{said}: {signed(diff.change_bytes)} MiB as far as it was seen"
    if not diff.moved:
        return f"{said}: equal to the byte"
    whose = f" of rank {diff.rank}" if diff.ranks else ""
    return f"{said}: {signed(diff.change_bytes)} MiB allocated at the peak{whose}"


def blocks(found: RunDiffs) -> list[Block]:
    """For a terminal."""
    shown: list[Block] = []
    whole, short = _parted(found)
    for diff in whole:
        shown += _one(diff)
    if short:
        shown.append(table(_short_rows(short), left=["what", "verdict"]))
    shown += [prose(each) for each in _around(found)]
    return shown or [prose("nothing to compare")]


def remark(change: AllocationChange) -> str:
    """How the line stands to the one of the other side; empty where nothing is to be said."""
    said = []
    if change.match in (Match.ONLY_AFTER, Match.ONLY_BEFORE, Match.FUNCTION, Match.FILE):
        said.append(change.match.value)
    if change.match is Match.FUNCTION and change.line_before:
        said.append(f"was: {change.line_before.strip()[:SOURCE]}")
    return ", ".join(said)


def _parted(found: RunDiffs) -> tuple[list[RunDiff], list[RunDiff]]:
    """What is shown at length, and as a row: several, of which nobody says why, or which say why like others.
    Of several what has not moved is only counted.
    """
    if len(found.diffs) == 1:
        return list(found.diffs), []
    whole: list[RunDiff] = []
    short: list[RunDiff] = []
    for diff in found.diffs:
        if not diff.moved:
            continue
        explained = any(each.changes == diff.changes and each.id == diff.id for each in whole)
        (whole if diff.changes and not explained else short).append(diff)
    return whole, short


def _short_rows(diffs: Sequence[RunDiff]) -> list[dict[str, str]]:
    return [
        {
            "what": f"{diff.id} on {diff.card}",
            "verdict": verdicts(diff),
            **{f"{row['peak']} more": row["more"] for row in peak_rows(diff)},
        }
        for diff in diffs
    ]


def _state(kind: Kind) -> str:
    return "fits" if kind in FITS else _SAID.get(kind, kind.value)


def _one(diff: RunDiff) -> list[Block]:
    style = "bold red" if diff.worse else "bold"
    found: list[Block] = [
        stack(
            prose(headline(diff), style=style),
            prose(f"{diff.id} on {diff.card}, {diff.after.provenance}; sizes in MiB"),
            *(prose(each, hanging=2) for each in _verdicts(diff)),
        ),
        table(peak_rows(diff), whole=["peak"]),
    ]
    if diff.ranks:
        found.append(table(rank_changes(diff.ranks), left=["look first at"], whole=["rank", "verdict"]))
    suspect = diff.suspect
    if suspect is not None:
        found.append(stack(prose("look first at"), prose(words(_suspect(suspect)), indent=2, hanging=2)))
    if diff.changes:
        found.append(table(_rows(diff.changes[:_SHOWN]), left=["at the peak", "where"]))
    if diff.elsewhere:
        found.append(table(_rows_elsewhere(diff), left=["at its most", "where"]))
    return [*found, stack(*(prose(each, hanging=2) for each in _balance(diff)))]


def _verdicts(diff: RunDiff) -> list[str]:
    found = []
    for name, side in (("before", diff.before), ("after", diff.after)):
        at = f"; the peak is in {side.phase} of step {side.step}" if side.phase and side.exact else ""
        found.append(f"{name}: {side.verdict}: {side.sentence}{at}")
    return found


def _suspect(change: AllocationChange) -> str:
    size, when = change.change_bytes, "at the peak"
    if size <= 0:
        size, when = change.most_change_bytes, "at its most, before or after the peak"
    about = remark(change)
    return f"{place(change)}  ({signed(size)} MiB of {change.group}, {when}{': ' if about else ''}{about})"


def _rows(changes: Sequence[AllocationChange]) -> list[dict[str, str]]:
    return [
        {
            "more": signed(each.change_bytes),
            "before": mib(each.before_bytes),
            "after": mib(each.after_bytes),
            "at the peak": each.group + _counts(each),
            "where": "  ".join(filter(None, (place(each), _bracketed(remark(each))))),
        }
        for each in changes
    ]


def _rows_elsewhere(diff: RunDiff) -> list[dict[str, str]]:
    return [
        {
            "more elsewhere": signed(each.most_change_bytes),
            "before": mib(each.most_before_bytes),
            "after": mib(each.most_after_bytes),
            "at its most": each.group,
            "where": "  ".join(filter(None, (place(each), _bracketed(remark(each))))),
        }
        for each in diff.elsewhere[:_SHOWN]
    ]


def _bracketed(text: str) -> str:
    return f"({text})" if text else ""


def _counts(change: AllocationChange) -> str:
    old, new = change.before_count, change.after_count
    if old == new:
        return f" x {new}" if new > 1 else ""
    return f" x {old} -> {new}" if old else f" x {new}" if new > 1 else ""


def _balance(diff: RunDiff) -> list[str]:
    """How much of the difference is explained, and what a reader must know."""
    said = []
    hidden = len(diff.changes) - _SHOWN
    if hidden > 0:
        size = sum(each.change_bytes for each in diff.changes[_SHOWN:])
        said.append(f"and {hidden} further places, together {signed(size)} MiB")
    if diff.known:
        said.append(
            f"these places explain {diff.explained_bytes:+,} of {diff.change_bytes:+,} bytes; "
            f"{diff.unexplained_bytes:+,} remain"
        )
    elif diff.moved:
        said.append(f"nothing explains {diff.change_bytes:+,} bytes")
    return [*said, *(f"note: {each}" for each in diff.notes)]


def _around(found: RunDiffs) -> list[str]:
    """What is to be said beside the comparisons that are shown."""
    equal = sum(not each.moved for each in found.diffs)
    said = []
    if len(found.diffs) > 1 or found.only_before or found.only_after:
        worse = sum(each.worse for each in found.diffs)
        said.append(f"{len(found.diffs)} compared: {worse} worse, {equal} equal")
    for which, names in (("before", found.only_before), ("after", found.only_after)):
        said += [f"only {which}: {name}" for name in names]
    return said


def markdown(found: RunDiffs) -> str:
    """A page of Markdown, ending in a newline."""
    parts = ["# What changed in memory?", f"Before: {escape(found.before)}; after: {escape(found.after)}."]
    whole, short = _parted(found)
    for diff in whole:
        parts += _section(diff)
    if short:
        rows = _short_rows(short)
        parts.append(markdown_table(frame_of(rows), right=list(rows[0])[2:]))
    parts += [escape(each) for each in _around(found)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(diff: RunDiff) -> list[str]:
    numbers = ["before", "after", "more", "more elsewhere"]
    suspect = diff.suspect
    return [
        f"## {escape(headline(diff))}",
        f"{escape(diff.id)} on {escape(diff.card)}, provenance *{diff.after.provenance}*; sizes in MiB.",
        "\n".join(f"- {escape(each)}" for each in _verdicts(diff)),
        markdown_table(frame_of(peak_rows(diff)), right=numbers),
        markdown_table(frame_of(rank_changes(diff.ranks)), right=RANK_NUMBERS) if diff.ranks else "",
        "" if suspect is None else f"Look first at {escape(_suspect(suspect))}.",
        markdown_table(frame_of(_rows(diff.changes[:_SHOWN])), right=numbers) if diff.changes else "",
        markdown_table(frame_of(_rows_elsewhere(diff)), right=numbers) if diff.elsewhere else "",
        "\n".join(f"- {escape(each)}" for each in _balance(diff)),
    ]
