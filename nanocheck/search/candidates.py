"""Runs of one command with changes, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from nanocheck.core.result import Provenance
from nanocheck.core.units import mib
from nanocheck.core.verdict import ANSWERS, JudgedRun, Kind, Verdict
from nanocheck.search.batch_argument import BatchArgument

#: A batch that fits is raised up to so many times the given one.
MOST = 4


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A run and what was changed for it; ``batch`` None: the command names none."""

    batch: int | None
    expandable: bool
    run: JudgedRun = field(repr=False)

    @property
    def kind(self) -> Kind:
        return self.run.verdict.kind

    @property
    def is_answer(self) -> bool:
        return self.kind in ANSWERS

    @property
    def fits(self) -> bool:
        return self.run.verdict.fits

    @property
    def reserved_bytes(self) -> int:
        """The peak; of a run that died it is as far as it came."""
        return self.run.result.main.reserved_bytes

    @property
    def need_bytes(self) -> int | None:
        """What it took; not known of a run that did not finish."""
        return self.reserved_bytes if self.fits else None


class SuggestedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table; sizes in bytes."""

    batch: int | None
    expandable: bool
    verdict: Verdict
    reserved_bytes: int
    provenance: Provenance


class Suggestions(msgspec.Struct, frozen=True, kw_only=True):
    """What further runs of a command found.

    Attributes:
        complete: not interrupted.
        batch_argument: the command's own name for the batch size; None: only the allocator was changed.
        batch: as given.
        conclusions: what the runs say, a sentence each.
    """

    complete: bool
    batch_argument: str | None
    batch: int | None
    runs: tuple[SuggestedRun, ...]
    conclusions: tuple[str, ...]


def to_suggestions(
    candidates: list[Candidate], batch: BatchArgument | None, *, complete: bool
) -> Suggestions:
    """What was run, the command as given first."""
    return Suggestions(
        complete=complete,
        batch_argument=None if batch is None else batch.name,
        batch=None if batch is None else batch.value,
        runs=tuple(
            SuggestedRun(
                batch=each.batch,
                expandable=each.expandable,
                verdict=each.run.verdict,
                reserved_bytes=each.reserved_bytes,
                provenance=each.run.result.provenance,
            )
            for each in candidates
        ),
        conclusions=tuple(conclusions(candidates, batch)),
    )


def conclusions(candidates: list[Candidate], batch: BatchArgument | None) -> list[str]:
    """What the runs say, a sentence each."""
    first, *others = candidates
    if not first.is_answer:
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
        runs = [each for each in candidates if each.expandable == expandable]
        if runs and batch is not None:
            found.append(_best(runs, batch, expandable))
    found += [
        f"{name_of(batch, each.batch, each.expandable)} gave no answer and counts as not fitting: "
        f"{each.run.verdict}"
        for each in others
        if not each.is_answer
    ]
    return found


def _best(runs: list[Candidate], batch: BatchArgument, expandable: bool) -> str:
    how = " with expandable segments" if expandable else ""
    fitting = max((each for each in runs if each.fits), key=lambda each: each.batch or 0, default=None)
    if fitting is None:
        return f"no {batch.name} from 1 on fits{how}"
    safe = max((each.batch or 0 for each in runs if each.kind is Kind.SAFE), default=None)
    beyond = min((each.batch or 0 for each in runs if not each.fits), default=None)
    more = " (the largest run)" if beyond is None else f" ({beyond} does not)"
    also = f"; the largest safe one run: {safe}" if fitting.kind is not Kind.SAFE and safe is not None else ""
    return f"the largest {batch.name} that fits{how}: {fitting.batch}{more}, {fitting.kind}{also}"


def name_of(batch: BatchArgument | None, size: int | None, expandable: bool) -> str:
    """What was changed, for people."""
    parts = [f"{batch.name} {size}"] if batch is not None else []
    return " and ".join([*parts, *(["expandable segments"] if expandable else [])]) or "as given"
