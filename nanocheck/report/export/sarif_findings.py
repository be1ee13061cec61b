"""What is wrong with a run, and on which line of the repository."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from nanocheck.core.anonymous import portable
from nanocheck.core.comparison import ComparisonKind
from nanocheck.core.result import OutOfMemory, Recovery, RunResult
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.verdict import Kind
from nanocheck.report.export.card_run import CardRun
from nanocheck.report.export.sarif_rules import INDEX, RULES
from nanocheck.report.export.source_places import SourcePlace, SourcePlaces

#: Further lines of a finding; `nanocheck diff` shows all.
MOST_RELATED = 10
_OF_KIND = {
    Kind.OOM: "out-of-memory",
    Kind.LOST_WORK: "lost-work",
    Kind.TIGHT: "tight",
    Kind.PARTIAL: "partial",
    Kind.UNSUPPORTED: "unsupported",
}


class Related(msgspec.Struct, frozen=True, kw_only=True):
    """Another line that has to do with a finding."""

    place: SourcePlace
    sentence: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with one run.

    Attributes:
        rule: id of the rule. sentence: for a person; one line.
        bytes: what did not fit, or what stays free, as ``of`` says; ``None`` where no size belongs to it.
        accepted: why nobody needs to look, such as that the baseline says the same; empty else.
        related: further lines that grew, with by how much.
    """

    rule: str
    run: CardRun
    sentence: str
    bytes: int | None = None
    of: str = ""
    accepted: str = ""
    place: SourcePlace | None = None
    related: tuple[Related, ...] = ()

    @property
    def level(self) -> str:
        """SARIF's: of the rule; a note where it is accepted."""
        return "note" if self.accepted else RULES[INDEX[self.rule]].level


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of one rule on one line, of several configurations: one thing to look at.

    ``fingerprint`` says the same of the same line in the same function though lines above it move.
    """

    findings: tuple[Finding, ...]
    fingerprint: str

    @property
    def first(self) -> Finding:
        return self.findings[0]


def findings(run: CardRun, places: SourcePlaces) -> Iterator[Finding]:
    """What is wrong: at most the verdict, and growth against a baseline."""
    compared = run.comparison
    rule = _OF_KIND.get(run.verdict.kind, "" if run.verdict.is_answer else "no-answer")
    if rule:
        (where, line), size, of = _of_verdict(run)
        yield Finding(
            rule=rule,
            run=run,
            sentence=portable(run.verdict.sentence),
            bytes=size,
            of=of,
            accepted=_known_before(run),
            place=_place(run, where, line, places),
        )
    if compared is not None and compared.kind is ComparisonKind.REGRESSED:
        yield Finding(
            rule="memory-grew",
            run=run,
            sentence=portable(compared.sentence),
            place=_place(run, *_at(run.result), places),
        )
    if run.growth is not None and run.growth.worse:
        yield _growth(run, run.growth, places)


def _known_before(run: CardRun) -> str:
    if run.comparison is not None and run.comparison.kind is ComparisonKind.EQUAL:
        return "its baseline says the same"
    if run.growth is not None and run.growth.before.verdict is run.growth.after.verdict:
        return "it was so before"
    return ""


def _growth(run: CardRun, growth: RunDiff, places: SourcePlaces) -> Finding:
    """On the line to look at first; the others that hold more at the peak are related."""
    suspect = growth.suspect
    sentence, size, where, line = "; ".join(growth.why), growth.change_bytes, None, None
    if suspect is not None:
        where, line = suspect.where, suspect.line
        size = max(suspect.change_bytes, suspect.most_change_bytes)
        sentence += f"; look first at {where}" + (f" `{line}`" if line else "")
    found = [(places.find(each.where, each.line), each) for each in growth.changes if each.change_bytes > 0]
    related = [
        Related(place=place, sentence=f"{each.group}: {each.change_bytes:+,} bytes")
        for place, each in found
        if place is not None and each is not suspect
    ]
    return Finding(
        rule="memory-grew",
        run=run,
        sentence=portable(sentence),
        bytes=size,
        of="more",
        place=_place(run, where, line, places),
        related=tuple(related[:MOST_RELATED]),
    )


def grouped(found: Sequence[Finding]) -> list[Group]:
    """In the order of ``found``; those without a place stand for themselves."""
    groups: dict[object, list[Finding]] = defaultdict(list)
    for each in found:
        place = each.place
        alone = None if place is not None else each.run.title
        groups[(each.rule, each.accepted, place, alone)].append(each)
    seen: dict[str, list[int]] = defaultdict(list)
    for members in groups.values():
        seen[_identity(members[0])].append(members[0].place.number if members[0].place is not None else 0)
    result = []
    for members in groups.values():
        identity, place = _identity(members[0]), members[0].place
        # Equal lines of one function are told apart by their order, which moving them together keeps.
        turn = sorted(seen[identity]).index(place.number if place is not None else 0) + 1
        digest = hashlib.sha256(identity.encode()).hexdigest()[:32]
        result.append(Group(findings=tuple(members), fingerprint=f"{digest}:{turn}"))
    return result


def _identity(each: Finding) -> str:
    place = each.place
    parts = (each.run.title,) if place is None else (place.path, place.function, place.line or "")
    return "\0".join((each.rule, *parts))


def _place(run: CardRun, where: str | None, line: str | None, places: SourcePlaces) -> SourcePlace | None:
    return places.find(where, line) or places.instead(run)


_Line: TypeAlias = tuple[str | None, str | None]


def _of_verdict(run: CardRun) -> tuple[_Line, int | None, str]:
    """Where, and the line's text; the bytes that belong to it, and what they are."""
    result, kind = run.result, run.verdict.kind
    headroom = run.verdict.headroom_bytes
    if result is None:
        return (None, None), headroom, "of headroom"
    oom = result.oom if kind is Kind.OOM else _lost(result) if kind is Kind.LOST_WORK else None
    if oom is not None:
        asked = "asked for" if oom.exact else "asked for, rounded up"
        return (oom.where, oom.line), oom.requested_bytes, asked
    coverages = [process.coverage for process in result.processes if process.coverage is not None]
    later = [each.where for coverage in coverages for each in coverage.later]
    at = (later[0], None) if kind is Kind.PARTIAL and later else _at(result)
    return at, headroom, "of headroom"


def _at(result: RunResult | None) -> _Line:
    moment = None if result is None else result.main.at
    return (None, None) if moment is None else (moment.where, moment.line)


def _lost(result: RunResult) -> OutOfMemory | None:
    """The one that the verdict is about."""
    caught = (each.oom for each in result.processes if each.oom is not None)
    return next((oom for oom in caught if oom.recovery is not Recovery.SEARCHED), None)
