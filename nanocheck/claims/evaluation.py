"""One claim and the records of its runs in, values out; also the check of a claim before anything ran."""

from __future__ import annotations

from collections.abc import Mapping

from nanocheck.claims import figures
from nanocheck.claims.amounts import Amount, AmountError, Unknown, Value, describe, kind_of
from nanocheck.claims.language import evaluate, names, parsed_unit
from nanocheck.claims.quantities import (
    CANNOT_TELL,
    CONFIRMED,
    REFUTED,
    Asked,
    Card,
    Claim,
    Formula,
    Given,
    Quantity,
    Run,
)
from nanocheck.claims.words import fields_of, fill
from nanocheck.core.errors import RequestError
from nanocheck.core.result import RunResult

Records = Mapping[Asked, RunResult]


class Evaluation:
    """The quantities of one claim. Without records, the figures of runs are unknown but typed."""

    def __init__(self, claim: Claim, records: Records) -> None:
        self.claim = claim
        self.records = records
        self.known = _known(claim.quantities)
        self._under_way: list[str] = []

    def value(self, name: str) -> Value | None:
        """What a name is worth; None where there is no such quantity.

        Raises:
            AmountError: a formula is wrong, or needs itself.
        """
        owner, _, figure = name.partition(".")
        quantity = self.claim.quantities.get(owner)
        match quantity:
            case Given() if not figure:
                return quantity.value
            case Formula() if not figure:
                return self._formula(name, quantity)
            case Card() if figure in figures.OF_CARD:
                return figures.of_card(quantity.gpu, figure)
            case Run() if figure in figures.RUN_FIGURES:
                return self._of_run(quantity, figure)
        return None

    def of(self, formula: Formula) -> Value:
        """
        Raises:
            AmountError: see ``evaluate``.
        """
        return evaluate(formula.tree, self.value, self.known)

    def _formula(self, name: str, formula: Formula) -> Value:
        if name in self._under_way:
            raise AmountError(f"expected no formula that needs itself, found {name}")
        self._under_way.append(name)
        try:
            return self.of(formula)
        except AmountError as error:
            if str(error).startswith("in formula"):
                raise
            raise AmountError(f"in formula {name}: {error}") from error
        finally:
            self._under_way.pop()

    def _of_run(self, run: Run, figure: str) -> Value:
        if figure == "refused":
            return run.asked is None
        if figure == "refusal":
            return run.refusal or Unknown("nanocheck builds the configuration", "text")
        of_config = figure in figures.OF_CONFIG
        if run.asked is None:
            table = figures.OF_CONFIG if of_config else figures.OF_RECORD
            return table[figure].unknown(f"nanocheck refuses the configuration: {run.refusal}")
        if of_config:
            return figures.of_config(run.asked.config, figure)
        return figures.of_record(self.records.get(run.asked), figure)


def used(claim: Claim) -> list[str]:
    """Every quantity that the rules and quotes name, and those behind their formulas, each once."""
    found: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in found:
            return
        found[name] = None
        quantity = claim.quantities.get(name)
        if isinstance(quantity, Formula):
            for each in names(quantity.tree):
                visit(each)

    for rule in (claim.confirmed_if, claim.refuted_if):
        for name in names(rule.tree) if rule is not None else ():
            visit(name)
    for quote in (*claim.quotes.values(), claim.note, claim.because):
        for name, _ in fields_of(quote):
            visit(name)
    return list(found)


def needed(claim: Claim) -> list[Asked]:
    """What must run for the claim's verdict and sentence."""
    found: dict[Asked, None] = {}
    for name in used(claim):
        owner, _, figure = name.partition(".")
        quantity = claim.quantities.get(owner)
        if isinstance(quantity, Run) and quantity.asked is not None and figure in figures.OF_RECORD:
            found[quantity.asked] = None
    return list(found)


def verdict(claim: Claim, evaluation: Evaluation) -> tuple[str, str]:
    """The verdict, and why nobody can tell where it is that.

    Raises:
        RequestError: both rules hold, so that they contradict each other.
    """
    confirmed, refuted = (
        Unknown("there is no rule", "truth") if rule is None else evaluation.of(rule)
        for rule in (claim.confirmed_if, claim.refuted_if)
    )
    if confirmed is True and refuted is True:
        raise RequestError(
            f"{claim.where}: expected rules of which at most one holds, found that confirmed_if and "
            "refuted_if both hold",
            hint="make the rules exclude each other",
        )
    if confirmed is True:
        return CONFIRMED, ""
    if refuted is True:
        return REFUTED, ""
    whys = [each.why for each in (confirmed, refuted) if isinstance(each, Unknown)]
    return CANNOT_TELL, claim.because or next(iter(whys), "neither rule holds")


def check(claim: Claim) -> None:
    """Everything that can be found wrong without running anything.

    Raises:
        RequestError: an unknown name, units that do not agree, a rule that is not true or false.
    """
    evaluation = Evaluation(claim, {})
    for key, rule in (("confirmed_if", claim.confirmed_if), ("refuted_if", claim.refuted_if)):
        if rule is not None:
            found = _guarded(claim, key, lambda rule=rule: evaluation.of(rule))
            if kind_of(found) != "truth":
                raise _wrong(claim, key, "something true or false, such as a comparison", kind_of(found))
    for name, quantity in claim.quantities.items():
        if isinstance(quantity, Formula):
            _check_unit(claim, name, quantity, evaluation)
    quotes = {f"quote.{name.replace(' ', '_')}": text for name, text in claim.quotes.items()}
    for key, text in {**quotes, "note": claim.note, "because": claim.because}.items():
        _guarded(claim, key, lambda text=text: fill(text, claim.quantities, evaluation.value))


def _check_unit(claim: Claim, name: str, formula: Formula, evaluation: Evaluation) -> None:
    found = _guarded(claim, f"formula.{name}", lambda: evaluation.value(name))
    unit = parsed_unit(formula.unit)
    if isinstance(found, Amount | Unknown) and kind_of(found) == "amount":
        if found.dimension != unit.dimension:
            raise _wrong(
                claim,
                f"formula.{name}",
                f"{describe(found.dimension)}, as its formula gives",
                f"unit {formula.unit or '(none)'}, {describe(unit.dimension)}",
            )
    elif formula.unit is not None:
        raise _wrong(claim, f"formula.{name}", "no unit for what is no number", f"unit {formula.unit}")


def _guarded(claim: Claim, key: str, action: object) -> Value:
    assert callable(action)
    try:
        found: Value = action()
    except AmountError as error:
        raise RequestError(f"{claim.where}: {key}: {error}", hint=f"fix {key} in {claim.where}") from error
    return found


def _wrong(claim: Claim, key: str, expected: str, found: str) -> RequestError:
    return RequestError(
        f"{claim.where}: {key}: expected {expected}, found {found}", hint=f"fix {key} in {claim.where}"
    )


def _known(quantities: Mapping[str, Quantity]) -> list[str]:
    found: list[str] = []
    for name, quantity in quantities.items():
        if isinstance(quantity, Run | Card):
            own = figures.OF_CARD if isinstance(quantity, Card) else figures.RUN_FIGURES
            found += [f"{name}.{figure}" for figure in own]
        else:
            found.append(name)
    return found
