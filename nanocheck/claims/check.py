"""What a claim's function computes with: figures of its runs, of cards, of the claim and of publications.

Every figure that the function asks for becomes a row of the ledger, with its provenance and how it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from nanocheck.claims import finding
from nanocheck.claims.claim_figures import CardFigures, RunFigures, wrong_name
from nanocheck.claims.finding import CANNOT_TELL, CONFIRMED, REFUTED, VERDICTS, FigureRow
from nanocheck.claims.interval import Interval, Number, interval
from nanocheck.claims.run_figures import RUN_FIGURES, Value
from nanocheck.claims.truth import Formula, Truth, truth
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu
from nanocheck.core.result import Provenance, RunResult
from nanocheck.core.run_request import RefusedConfig, RunRequest

Results = Mapping[RunRequest, RunResult]
FindGpu = Callable[[str], Gpu]
#: A number, or a range from low to high.
Given = Number | tuple[Number, Number]
_GENERAL = {CONFIRMED: "holds", REFUTED: "does not hold", CANNOT_TELL: "could not be checked"}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What ``Check.decide`` found; see ``finding.Finding``."""

    verdict: str
    sentence: str
    why: str
    remark: str
    confirmed_if: str
    refuted_if: str


class Stated(Protocol):
    """What a claim states before anything ran: ``nanocheck.claims.claim.Claim``."""

    @property
    def says(self) -> str: ...

    @property
    def expected(self) -> str: ...

    @property
    def runs(self) -> Mapping[str, RunRequest | RefusedConfig]: ...

    @property
    def configs(self) -> Mapping[str, RunRequest | RefusedConfig]: ...


class Check:
    """The argument ``c`` of a claim's function.

    ``c.NAME`` are the figures of a run or configuration that the claim declares under that name.

    Args:
        results: of the claim's runs; figures of those that are missing are unknown.
        find: a card by its id.
    """

    def __init__(self, claim: Stated, results: Results, find: FindGpu) -> None:
        self._claim, self._results, self._find = claim, results, find
        self._rows: dict[str, FigureRow] = {}

    def __getattr__(self, name: str) -> RunFigures:
        declared = {**self._claim.configs, **self._claim.runs}
        if name not in declared:
            wrong_name(f"c.{name}", "a name under runs= or configs=", name, declared)
        request, ran = declared[name], name in self._claim.runs
        result = self._results.get(request) if isinstance(request, RunRequest) else None
        return RunFigures(name, request, self._add, ran=ran, result=result, find=self._find)

    def card(self, gpu: str, name: str = "") -> CardFigures:
        """Figures of a card of the catalog, such as ``c.card("rtx4070").tflops``.

        Args:
            gpu: its id. name: under which the ledger shows it, if another.

        Raises:
            RequestError: there is no such card.
        """
        return CardFigures(name or gpu, self._find(gpu), self._add)

    def said(self, name: str, value: Given, unit: str = "") -> Interval:
        """A number or range that the claim itself names."""
        return self._given(name, value, unit, finding.SAID, "the claim says so")

    def fact(self, name: str, value: Given, unit: str = "", *, source: str) -> Interval:
        """What somebody published, and where."""
        return self._given(name, value, unit, finding.PUBLISHED, source)

    def recorded(self, name: str, value: Given, unit: str = "", *, how: str) -> Interval:
        """What a program that no configuration stands for took on a virtual GPU, and where that is kept."""
        return self._given(name, value, unit, Provenance.VIRTUAL.value, how)

    def assumed(self, name: str, value: Given, unit: str = "", *, why: str) -> Interval:
        """What nobody published, and why it is assumed all the same."""
        return self._given(name, value, unit, finding.ASSUMED, why)

    def computed(self, name: str, value: Interval | Number, unit: str = "", *, how: str = "") -> Interval:
        """A result under a name of its own, shown in that unit.

        Args:
            how: the formula, for a plain number; an ``Interval`` knows its own.

        Raises:
            RequestError: a unit of something else, or a plain number without ``how``.
        """
        if not isinstance(value, Interval) and not how:
            raise RequestError(
                f"{name}: expected how it was computed, found only the number {value}",
                hint=f'c.computed("{name}", 12 * 768**2, how="12 * 768 ** 2")',
            )
        value = interval(value)
        named = value.named(name, unit)
        self._add(name, named, finding.COMPUTED, how or value.formula.text)
        return named

    def decide(
        self,
        *,
        confirmed: Truth | bool | None = None,
        refuted: Truth | bool | None = None,
        sentence: str | Mapping[str, str] = "",
        because: str = "",
        remark: str = "",
    ) -> Decision:
        """The verdict: confirmed or refuted where that rule surely holds, else nobody can tell.

        Args:
            confirmed, refuted: comparisons joined with ``& | ~``; one that is left out is the opposite of the
                other.
            sentence: for the expected verdict, or verdict -> sentence for each that may come.
            because: why nobody can tell, where the rules alone do not say it.
            remark: what else a reader must know.

        Raises:
            RequestError: both rules hold, or there is neither a rule nor ``because``.
        """
        if confirmed is None and refuted is None and not because:
            raise RequestError("c.decide(): expected a rule, or because= why nobody can tell, found neither")
        none = Truth(None, "there is no rule", Formula(""))
        yes = truth(confirmed) if confirmed is not None else none if refuted is None else ~truth(refuted)
        no = truth(refuted) if refuted is not None else none if confirmed is None else ~truth(confirmed)
        if yes.value and no.value:
            raise RequestError(
                "c.decide(): expected rules of which at most one holds, found that both do: "
                f"{yes.formula.text}; {no.formula.text}",
                hint="make the rules exclude each other",
            )
        verdict = CONFIRMED if yes.value else REFUTED if no.value else CANNOT_TELL
        why = "" if verdict != CANNOT_TELL else because or yes.why or no.why or "neither rule holds"
        return Decision(
            verdict=verdict,
            sentence=self._sentence(sentence, verdict, why),
            why=why,
            remark=remark,
            confirmed_if=yes.formula.text,
            refuted_if=no.formula.text,
        )

    def _sentence(self, given: str | Mapping[str, str], verdict: str, why: str) -> str:
        sentences = {self._claim.expected: given} if isinstance(given, str) else given
        for name in sentences:
            if name not in VERDICTS:
                wrong_name("c.decide(sentence=)", "a verdict", name, VERDICTS)
        general = f"“{self._claim.says}” {_GENERAL[verdict]}" + (f": {why}." if why else ".")
        return sentences.get(verdict) or general

    def _given(self, name: str, value: Given, unit: str, provenance: str, how: str) -> Interval:
        low, high = value if isinstance(value, tuple) else (value, None)
        found = Interval(low, high, unit).named(name, unit)
        self._add(name, found, provenance, how)
        return found

    def _add(self, name: str, value: Value, provenance: str, how: str) -> None:
        """Makes a figure a row of the ledger, once."""
        row = FigureRow(name, str(value), provenance, how)
        known = self._rows.setdefault(name, row)
        if known != row:
            raise RequestError(
                f"{name}: expected one figure of that name, found {known.value} ({known.how}) and "
                f"{row.value} ({row.how})",
                hint="give one of them another name",
            )


def rows_of(check: Check) -> tuple[FigureRow, ...]:
    """The figures that the function asked for, in its order."""
    return tuple(check._rows.values())


def unread_runs(check: Check) -> list[str]:
    """Runs that a claim declares and whose outcome its function never looks at."""
    return [
        name
        for name in check._claim.runs
        if not any(f"{name}.{figure}" in check._rows for figure in RUN_FIGURES)
    ]
