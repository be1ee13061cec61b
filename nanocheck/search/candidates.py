"""Runs of one command with changes, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nanocheck.core.units import mib
from nanocheck.report import terminal
from nanocheck.search.batch_argument import BatchArgument

#: A batch that fits is raised up to so many times the given one.
MOST = 4
_FITS = ("safe", "tight")
#: Verdicts that say something about memory.
ANSWERS = (*_FITS, "oom")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A run and what was changed for it; ``batch`` None: the command names none."""

    batch: int | None
    expandable: bool
    answer: dict[str, Any] = field(repr=False)

    @property
    def kind(self) -> str:
        return str(self.answer["verdict"]["kind"])

    @property
    def fits(self) -> bool:
        return self.kind in _FITS

    @property
    def reserved_bytes(self) -> int:
        processes = self.answer["processes"]
        return int(processes[0]["peak"]["reserved_bytes"]) if processes else 0

    def to_dict(self) -> dict[str, Any]:
        """A row of the table; sizes in bytes. The peak of a run that died is as far as it came."""
        return {
            "batch": self.batch,
            "expandable": self.expandable,
            "verdict": self.kind,
            "sentence": self.answer["verdict"]["sentence"],
            "reserved_bytes": self.reserved_bytes,
            "headroom_bytes": self.answer["verdict"]["headroom_bytes"],
            "provenance": self.answer["provenance"],
        }


def conclusions(trials: list[Trial], batch: BatchArgument | None) -> list[str]:
    """What the runs say, a sentence each."""
    first, *others = trials
    if first.kind not in ANSWERS:
        return [f"nothing was searched: the run as given says nothing about memory ({first.kind})"]
    found = []
    same = next((each for each in others if each.expandable and each.batch == first.batch), None)
    if same is not None:
        change = same.reserved_bytes - first.reserved_bytes
        figures = (
            f", {mib(abs(change))} MiB {'less' if change < 0 else 'more'} reserved"
            if same.fits and first.fits
            else ""
        )
        found.append(f"expandable segments alone: {same.kind}, was {first.kind}{figures}")
    for expandable in (False, True) if batch is not None else ():
        runs = [each for each in trials if each.expandable == expandable]
        if runs and batch is not None:
            found.append(_best(runs, batch, expandable))
    odd = [each for each in others if each.kind not in ANSWERS]
    found += [
        f"{name_of(batch, each.batch, each.expandable)} gave no answer and counts as not fitting: "
        f"{each.answer['verdict']['sentence']}"
        for each in odd
    ]
    return found


def _best(runs: list[Trial], batch: BatchArgument, expandable: bool) -> str:
    how = " with expandable segments" if expandable else ""
    fitting = max((each for each in runs if each.fits), key=lambda each: each.batch or 0, default=None)
    if fitting is None:
        return f"no {batch.name} from 1 on fits{how}"
    safe = max((each.batch or 0 for each in runs if each.kind == "safe"), default=None)
    beyond = min((each.batch or 0 for each in runs if not each.fits), default=None)
    more = " (the largest run)" if beyond is None else f" ({beyond} does not)"
    also = f"; the largest safe one run: {safe}" if fitting.kind != "safe" and safe is not None else ""
    return f"the largest {batch.name} that fits{how}: {fitting.batch}{more}, {fitting.kind}{also}"


def name_of(batch: BatchArgument | None, size: int | None, expandable: bool) -> str:
    parts = [f"{batch.name} {size}"] if batch is not None else []
    return " and ".join([*parts, *(["expandable segments"] if expandable else [])]) or "as given"


def text(suggestions: dict[str, Any]) -> str:
    """The search as a terminal shows it."""
    name = suggestions["batch_argument"]
    rows = [
        {
            **({} if name is None else {name: str(row["batch"])}),
            "allocator": "expandable segments" if row["expandable"] else "as given",
            "verdict": row["verdict"],
            "reserved MiB": mib(row["reserved_bytes"]),
            "headroom MiB": "" if row["headroom_bytes"] is None else mib(row["headroom_bytes"]),
            "provenance": row["provenance"],
        }
        for row in suggestions["runs"]
    ]
    lines = [f"- {each}" for each in suggestions["conclusions"]]
    if not suggestions["complete"]:
        lines.append("- interrupted: of the runs so far, no more than what the table says is known")
    return "\n".join([terminal.table(rows, left=("allocator", "verdict", "provenance")), "", *lines])
