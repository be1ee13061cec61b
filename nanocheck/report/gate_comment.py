"""The comment on a pull request, which the job summary shows as well: Markdown from a ``Gate``.

Every word that is not ours is in ``<code>`` or a fenced block, see ``foreign_markdown``.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from urllib.parse import quote

from nanocheck.core.allocation_change import AllocationChange
from nanocheck.core.gate import Gate, GateRow
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.units import count_summary, mib
from nanocheck.core.verdict import Kind
from nanocheck.report.foreign_markdown import block, code
from nanocheck.report.rank_changes import rank_changes

#: GitHub's limit of a comment's body, in characters ("body is too long (maximum is 65536 characters)").
LIMIT = 65_536
_ROWS, _CHANGES, _REASONS = 40, 12, 10
#: What is a thousand times smaller than the largest change is counted only.
_SMALL = 1000
#: For the words about what was left out.
_SLACK = 200
#: Rows of ranks that a comment shows; neighbours that say the same share one.
_RANKS = 8
#: Where a line of the head can be looked at: path and line -> address, or nothing.
Link = Callable[[str, int], str]


def marker(key: str) -> str:
    """The hidden first line by which a comment is found again.

    Args:
        key: hexadecimal.
    """
    assert key.isalnum()
    return f"<!-- nanocheck:{key} -->"


def render(gate: Gate, *, link: Link | None = None, limit: int = LIMIT) -> str:
    """The whole comment, at most ``limit`` characters as GitHub counts them.

    What does not fit is left out by whole sections, the last ones first, and counted.
    """
    foot = _foot(gate)
    # Names can be so long that even the table does not fit.
    for most in (_ROWS, 20, 10, 5, 2, 0):
        head = "\n\n".join([marker(gate.key), *_head(gate, most)])
        if units(head) + units(foot) < limit - _SLACK:
            break
    sections = [
        *_misfits(gate),
        *_growths(gate, link),
        *(_details(row) for row in gate.rows),
        *_reproduce(gate),
    ]
    whole = "\n\n".join([head, *sections, foot]) + "\n"
    if units(whole) <= limit:
        return whole
    kept: list[str] = []
    for number, section in enumerate(sections):
        more = f"({len(sections) - number} sections more did not fit: they are in the job's artifact)"
        if units("\n\n".join([head, *kept, section, more, foot])) >= limit:
            return "\n\n".join([head, *kept, more, foot]) + "\n"
        kept.append(section)
    return whole


def units(text: str) -> int:
    """Its length as JavaScript and GitHub count it: a character beyond U+FFFF is two."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def headline(gate: Gate) -> str:
    """One sentence without any foreign text."""
    if not gate.rows:
        return "no answer"
    kinds: dict[str, int] = {}
    for row in gate.rows:
        kinds[str(row.verdict)] = kinds.get(str(row.verdict), 0) + 1
    said = count_summary("run", kinds)
    grew = [row for row in gate.rows if row.diff is not None and row.diff.change_bytes > 0]
    if grew:
        said += f"; the peak grew on {len(grew)}, by up to {signed(gate.grown_bytes)} bytes"
    elif any(row.diff is not None and row.diff.change_bytes < 0 for row in gate.rows):
        said += "; no peak grew, some shrank"
    elif any(row.diff is not None for row in gate.rows):
        said += "; no peak moved"
    return said


def signed(number: int) -> str:
    """``+1,234`` or ``-5``; 0 has no sign."""
    return f"{number:+,}" if number else "0"


def _head(gate: Gate, most: int) -> list[str]:
    """What is not folded. ``most``: so many rows, reasons and notes."""
    parts = [_headline(gate)]
    if gate.failed and most:
        parts.append("It fails because:\n" + _list(gate.failed, min(most, _REASONS)))
    parts.append(_table(gate, most))
    if gate.notes and most:
        parts.append(_list(gate.notes, min(most, _REASONS)))
    return parts


def _list(texts: Sequence[str], most: int) -> str:
    lines = [f"- {code(each) or '?'}" for each in texts[:most]]
    return "\n".join([*lines, *([f"- and {len(texts) - most} more"] if len(texts) > most else [])])


def _headline(gate: Gate) -> str:
    state = "fails" if gate.failed else "passes"
    return f"### GPU memory: {state}\n\n{headline(gate)}."


def _table(gate: Gate, most: int) -> str:
    several = len({row.id for row in gate.rows}) > 1
    head = ["card", "verdict", "peak allocated MiB", "peak reserved MiB", "change (bytes)", "headroom MiB"]
    align = [":--", ":--", "--:", "--:", "--:", "--:"]
    if several:
        head, align = ["what", *head], [":--", *align]
    lines = [" | ".join(head), " | ".join(align)]
    for row in gate.rows[:most]:
        was = row.diff.before.verdict if row.diff is not None else row.verdict
        verdict = f"**{row.verdict}**" + (f", was {was}" if was != row.verdict else "")
        change = signed(row.diff.change_bytes) if row.diff is not None else "no base"
        room = mib(row.headroom_bytes) if row.headroom_bytes is not None else "-"
        cells = [code(row.gpu), verdict, mib(row.allocated_bytes), mib(row.reserved_bytes), change, room]
        lines.append(" | ".join([code(row.id, most=80), *cells] if several else cells))
    for each in gate.missing[:most]:
        cells = [code(each.gpu), f"no answer: {code(each.why)}", "-", "-", "-", "-"]
        lines.append(" | ".join([code(each.id, most=80), *cells] if several else cells))
    text = "\n".join(f"| {line} |" for line in lines)
    left = max(0, len(gate.rows) - most) + max(0, len(gate.missing) - most)
    return text + (f"\n\n{left} rows more are in the job's artifact." if left else "")


def _misfits(gate: Gate) -> list[str]:
    """Which request did not fit, and where."""
    rows = [row for row in gate.rows if row.verdict in (Kind.OOM, Kind.LOST_WORK)]
    if not rows:
        return []
    lines = [
        f"- {code(row.id, most=120)} on {code(row.gpu)}: {code(row.sentence)}" for row in rows[:_REASONS]
    ]
    lines += [f"- and {len(rows) - _REASONS} more, folded below"] if len(rows) > _REASONS else []
    return ["**What does not fit**:\n\n" + "\n".join(lines)]


def _growths(gate: Gate, link: Link | None) -> list[str]:
    """What changed, line by line; said once for the cards on which it is the same."""
    found: dict[tuple[object, ...], list[GateRow]] = {}
    for row in gate.rows:
        if row.diff is not None and (row.diff.changes or row.diff.change_bytes):
            key = (row.id, row.diff.changes, row.diff.change_bytes, row.diff.unexplained_bytes)
            found.setdefault(key, []).append(row)
    return [_growth(rows, link) for rows in found.values()]


def _ranks(ranks: Sequence[RunDiff]) -> list[str]:
    """What each rank needs more, with one line of the program each: all of them may be many."""
    rows = rank_changes(ranks)
    numbers = ("rank", "allocated more", "process more")
    lines = ["| rank | allocated, MiB | process, MiB | verdict | look first at |"]
    lines.append("| --: | --: | --: | :-- | :-- |")
    for each in rows[:_RANKS]:
        cells = [*(each[name] for name in numbers), each["verdict"], code(each["look first at"])]
        lines.append(f"| {' | '.join(cells)} |")
    if len(rows) > _RANKS:
        lines.append(f"| {len(rows) - _RANKS} more rows | | | | |")
    return lines


def _growth(rows: Sequence[GateRow], link: Link | None) -> str:
    diff = rows[0].diff
    assert diff is not None
    cards = ", ".join(code(row.gpu) for row in rows)
    what = "grew" if diff.change_bytes > 0 else "changed"
    of = f"{code(rows[0].id, most=120)} on {cards}"
    peak = f"{signed(diff.change_bytes)} bytes at the peak, in {diff.after.phase or '?'}"
    rank = f" of rank {diff.rank}" if diff.ranks else ""
    lines = [f"**What {what}**: {of}, {peak} of step {diff.after.step}{rank}"]
    if diff.ranks:
        lines += ["", *_ranks(diff.ranks)]
    if diff.changes:
        lines += ["", "| bytes | what | where | line |", "| --: | :-- | :-- | :-- |"]
        largest = max(abs(each.change_bytes) for each in diff.changes)
        shown = [each for each in diff.changes if abs(each.change_bytes) * _SMALL >= largest][:_CHANGES]
        lines += [_change(each, link) for each in shown]
        if len(diff.changes) > len(shown):
            rest = sum(each.change_bytes for each in diff.changes) - sum(each.change_bytes for each in shown)
            lines.append(f"| {signed(rest)} | {len(diff.changes) - len(shown)} others, together | | |")
    for each in diff.elsewhere[:_CHANGES]:
        more = signed(each.most_change_bytes)
        place = f"{code(each.where or '?')} {code(each.line or '')}".strip()
        lines.append(f"\nNot at the peak, but new: {more} bytes of {code(each.group)} at {place}")
    if diff.unexplained_bytes:
        lines.append(f"\n{signed(diff.unexplained_bytes)} bytes of it no line explains.")
    if not diff.known:
        lines.append("\nOne side does not say what lived at its peak, so no line can be named.")
    return "\n".join(lines)


def _change(change: AllocationChange, link: Link | None) -> str:
    count = change.after_count - change.before_count
    shape = " x ".join(map(str, change.shape or ()))
    about = ", ".join(
        filter(
            None,
            [
                change.dtype or "",
                shape,
                f"{count:+} {'tensor' if abs(count) == 1 else 'tensors'}" if count else "",
            ],
        )
    )
    what = change.group + (f" ({about})" if about else "")
    where = code(change.where) if change.where else ""
    path, _, number = (change.where or "").rpartition(":")
    address = link(path, int(number)) if link is not None and number.isdigit() else ""
    if address and where:
        where = f'<a href="{address}">{where}</a>'
    return f"| {signed(change.change_bytes)} | {code(what)} | {where} | {code(change.line or '')} |"


def _details(row: GateRow) -> str:
    title = f"{code(row.gpu)}: what holds the peak"
    lines = [f"{row.card}: {row.verdict}: {row.sentence}", row.id, ""]
    lines += [f"{mib(each.bytes):>12} MiB  {each.group}" for each in row.groups]
    lines += ["", "largest then:"] if row.largest else []
    for each in row.largest:
        lines.append(
            f"{mib(each.bytes):>12} MiB  {each.group} x {each.count}  {each.where or '?'}  "
            f"{(each.line or '').strip()}"
        )
    if row.diff is None and row.no_base:
        lines += ["", f"no base: {row.no_base}"]
    elif row.diff is not None:
        lines += ["", f"at the base: {row.diff.before.verdict}: {row.diff.before.sentence}"]
        lines += [f"note: {each}" for each in row.diff.notes]
    return _folded(title, block([each[:400] for each in lines]))


def _reproduce(gate: Gate) -> list[str]:
    commands = dict.fromkeys(shlex.join(row.reproduce) for row in gate.rows if row.reproduce)
    if not commands:
        return []
    lines = [f"pip install pytest-nanocheck=={gate.nanocheck}", f"git checkout {gate.head}"]
    lines = lines if gate.head else lines[:1]
    lines += [f"cd {shlex.quote(gate.folder)}"] if gate.folder else []
    return [_folded("The same on your machine, without a GPU", block([*lines, *commands], "console"))]


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _foot(gate: Gate) -> str:
    how = " and ".join(sorted({row.provenance for row in gate.rows})) or "nothing ran"
    torch = ", ".join(code(each) for each in sorted({row.torch or "" for row in gate.rows}) if each)
    sides = f"head {code(gate.head[:12])}" if gate.head else "the head's commit is not known"
    sides += f", base {code(gate.base[:12])}" if gate.base else ", no base"
    note = f" ({code(gate.base_note)})" if gate.base_note else ""
    with_torch = f", torch {torch}" if torch else ""
    virtual = (
        " Virtual: the real PyTorch ran on a GPU that keeps account of memory and computes nothing."
        if "virtual" in how
        else ""
    )
    return (
        f"<sub>Figures are {how}; nanocheck {code(gate.nanocheck)}{with_torch}; {sides}{note}; "
        f"{code(gate.date)}.{virtual}</sub>"
    )


def source_link(server: str, repository: str, commit: str, folder: str = "") -> Link:
    """Addresses of lines on GitHub or GitLab (the latter redirects), for paths inside the checkout.

    Args:
        folder: of the checkout, from which paths begin.
    """

    start = "/".join(_quoted(each) for each in (repository, "blob", commit, folder) if each)

    def address(path: str, line: int) -> str:
        inside = path and not path.startswith(("/", "<", "~")) and ".." not in path.split("/")
        known = inside and server and repository and commit
        return f"{server}/{start}/{_quoted(path)}#L{line}" if known else ""

    return address


def _quoted(text: str) -> str:
    return quote(text, errors="replace")
