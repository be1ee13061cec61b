"""What a change does to memory: every card with the verdict before and after, and what fails the check.

``python -m nanocheck.ci gate`` stores one; the comment, the summary and the exit code are made from it.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from nanocheck.core.anonymous import portable
from nanocheck.core.errors import RequestError
from nanocheck.core.rank_runs import machine_name
from nanocheck.core.result import Group, Holding
from nanocheck.core.run_diff import RunDiff
from nanocheck.core.verdict import ANSWERS, JudgedRun, Kind

SCHEMA = 1
#: What can be asked to fail beside the verdicts by their names.
GROWTH, WORSE, NO_ANSWER, TESTS, NEVER = "growth", "worse", "no-answer", "tests", "never"
_WORDS = (*(str(kind) for kind in Kind), GROWTH, WORSE, NO_ANSWER, TESTS, NEVER)
#: By default: it does not fit, nobody knows, or a test said so. Growth is shown, and fails where asked.
DEFAULT_FAIL_ON = "oom,lost-work,no-answer,tests"
_LARGEST = 5


class _Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parts of a gate: immutable, strict when read."""


class GateRow(_Value, frozen=True, kw_only=True):
    """One command or test on one card, at the head; sizes in bytes.

    Attributes:
        id: the command or the test. gpu, card: the card's id and name, or the machine's (``8xh100``).
        verdict, sentence, headroom_bytes: see ``core.verdict``.
        groups, largest: what holds the peak, or held the memory when it ran out.
        where, line: of the request that did not fit.
        diff: beside the base; ``None``: ``no_base`` says why there is none.
        reproduce: the words of the command that asks the same again.
    """

    id: str
    gpu: str
    card: str
    provenance: str
    torch: str | None
    verdict: Kind
    sentence: str
    headroom_bytes: int | None
    allocated_bytes: int
    reserved_bytes: int
    process_bytes: int
    groups: tuple[Group, ...] = ()
    largest: tuple[Holding, ...] = ()
    where: str | None = None
    line: str | None = None
    diff: RunDiff | None = None
    no_base: str = ""
    reproduce: tuple[str, ...] = ()

    @classmethod
    def of(cls, run: JudgedRun, *, diff: RunDiff | None, no_base: str, reproduce: tuple[str, ...]) -> GateRow:
        """The row of a run."""
        result, main = run.result, run.result.main
        oom = result.oom if run.verdict.kind in (Kind.OOM, Kind.LOST_WORK) else None
        return cls(
            id=portable(result.id),
            gpu=machine_name(result),
            card=result.device_name,
            provenance=str(result.provenance),
            torch=result.environment.torch,
            verdict=run.verdict.kind,
            sentence=portable(run.verdict.sentence),
            headroom_bytes=run.verdict.headroom_bytes,
            allocated_bytes=main.allocated_bytes,
            reserved_bytes=main.reserved_bytes,
            process_bytes=run.verdict.process_bytes,
            groups=oom.groups if oom is not None else main.groups,
            largest=tuple(
                msgspec.structs.replace(each, where=each.where and portable(each.where))
                for each in (oom.alive if oom is not None else main.largest)[:_LARGEST]
            ),
            where=portable(oom.where) if oom is not None and oom.where else None,
            line=oom.line if oom is not None else None,
            diff=diff,
            no_base="" if diff is not None else no_base,
            reproduce=tuple(map(portable, reproduce)),
        )

    @property
    def worse(self) -> bool:
        """Whether the verdict is a worse one than at the base."""
        order = list(Kind)
        return self.diff is not None and order.index(self.verdict) > order.index(self.diff.before.verdict)

    @property
    def growth(self) -> tuple[str, ...]:
        """A clause for each peak that grew by more than is allowed; the verdict's is the first of ``why``."""
        return () if self.diff is None else self.diff.why[1 if self.worse else 0 :]


class Missing(_Value, frozen=True, kw_only=True):
    """What was asked for and gave no result at all: the command or the tests, the card, and why."""

    id: str
    gpu: str
    why: str


class Gate(_Value, frozen=True, kw_only=True):
    """One check of a change.

    Attributes:
        key: which comment is its own; hexadecimal.
        head, base: commits, in hexadecimal; empty: not known, or none. base_note: where the base is from, or
            why there is none.
        fail_on: what was asked to fail. failed: why it does; empty: it passes.
        tests_exit_code: pytest's, at the head; ``None`` where a command was asked for.
        folder: where it ran inside the checkout, from whose ``file:line`` places begin; empty: at its top.
        date: of the check, UTC.
    """

    schema: int = SCHEMA
    key: str
    nanocheck: str
    date: str
    head: str = ""
    base: str = ""
    base_note: str = ""
    folder: str = ""
    fail_on: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    tests_exit_code: int | None = None
    rows: tuple[GateRow, ...] = ()
    missing: tuple[Missing, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def grown_bytes(self) -> int:
        """The most by which an allocated peak grew; below 0 where all shrank."""
        return max((row.diff.change_bytes for row in self.rows if row.diff is not None), default=0)


def parse_fail_on(text: str) -> tuple[str, ...]:
    """The words of ``oom,growth``.

    Raises:
        RequestError: an unknown word, or ``never`` beside others.
    """
    words = tuple(dict.fromkeys(each.strip().lower() for each in text.split(",") if each.strip()))
    unknown = [each for each in words if each not in _WORDS]
    if unknown or not words or (NEVER in words and len(words) > 1):
        raise RequestError(
            f"fail-on: expected some of {', '.join(_WORDS)}, with commas, found {text!r:.80}",
            hint=f"the default is {DEFAULT_FAIL_ON}; {NEVER} stands alone",
        )
    return words


def reasons_to_fail(
    fail_on: Iterable[str],
    rows: Iterable[GateRow],
    missing: Iterable[Missing] = (),
    tests_exit_code: int | None = None,
) -> tuple[str, ...]:
    """Why a check fails, a clause for each reason; empty where it passes."""
    asked, found = set(fail_on), []
    for row in rows:
        place = f"{row.id} on {row.gpu}"
        if str(row.verdict) in asked or (NO_ANSWER in asked and row.verdict not in ANSWERS):
            found.append(f"{place}: {row.verdict}")
        elif WORSE in asked and row.worse:
            found.append(f"{place}: {row.diff.why[0] if row.diff is not None else ''}")
        if GROWTH in asked and row.growth:
            found.append(f"{place}: {'; '.join(row.growth)}")
    if NO_ANSWER in asked:
        found += [f"{each.id} on {each.gpu}: no answer, {each.why}" for each in missing]
    if TESTS in asked and tests_exit_code:
        found.append(f"pytest ended with exit code {tests_exit_code}")
    return tuple(found)
