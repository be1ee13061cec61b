"""What changed of each rank, as rows; and the words for peaks, verdicts and places that rows are made of."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.allocation_change import AllocationChange
from nanocheck.core.diff_side import ROUNDING
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.units import mib

#: Columns of ``rank_changes`` that are numbers.
RANK_NUMBERS = ("rank", "allocated before", "allocated more", "reserved more", "process more")
_PEAKS = ("allocated", "reserved", "process")
#: Characters of a source line; more of it says no more about its memory.
SOURCE = 120


def rank_changes(ranks: Sequence[RunDiff]) -> list[dict[str, str]]:
    """A row for each rank, sizes in MiB; neighbours that say the same share one."""
    found: list[tuple[list[int], dict[str, str]]] = []
    for each in ranks:
        more = {f"{row['peak']} more": row["more"] for row in peak_rows(each)}
        suspect = each.suspect
        said = {
            "verdict": verdicts(each),
            "allocated before": mib(each.before.allocated_bytes),
            **more,
            "look first at": "" if suspect is None else place(suspect),
        }
        number = each.rank or 0
        if found and found[-1][1] == said and found[-1][0][-1] == number - 1:
            found[-1][0].append(number)
        else:
            found.append(([number], said))
    return [
        {"rank": str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}", **said}
        for numbers, said in found
    ]


def peak_rows(diff: RunDiff) -> list[dict[str, str]]:
    """A row for each of the three peaks, in MiB."""
    rows = []
    for name in _PEAKS:
        old, new = (getattr(side, f"{name}_bytes") for side in (diff.before, diff.after))
        rows.append({"peak": name, "before": mib(old), "after": mib(new), "more": signed(new - old)})
    return rows


def verdicts(diff: RunDiff) -> str:
    """``safe``, or ``safe -> oom``."""
    old, new = diff.before.verdict, diff.after.verdict
    return new.value if old is new else f"{old} -> {new}"


def signed(size: int) -> str:
    """``+12.00``: MiB with their sign."""
    return f"{'+' if size >= 0 else '-'}{mib(abs(size))}"


def place(change: AllocationChange) -> str:
    """``model.py:30  logits = logits.float()``, and what is known of how it was found."""
    line = (change.line or "").strip()
    line = line if len(line) <= SOURCE else line[: SOURCE - 3] + "..."
    nowhere = "blocks larger than what was asked for" if change.group == ROUNDING else "no line is known"
    return "  ".join(filter(None, (change.where or nowhere, line)))
