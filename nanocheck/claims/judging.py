"""Claims and the records of their runs in, findings out: verdict, figures, and where each comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nanocheck.claims import figures
from nanocheck.claims.amounts import AmountError, Value
from nanocheck.claims.evaluation import Evaluation, Records, needed, used, verdict
from nanocheck.claims.quantities import Asked, Card, Claim, Formula, Given, Ledger, Run
from nanocheck.claims.words import fill, show, unit_of
from nanocheck.core.device import Target
from nanocheck.core.errors import RequestError
from nanocheck.core.units import mib

#: Where a figure may come from, beside a record's own provenance.
PUBLISHED, COMPUTED, ASSUMED, SAID = "published", "computed", "assumed", "said"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One figure of a finding: ``how`` is its formula, its source, or what ran."""

    name: str
    value: str
    provenance: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What came out of one claim.

    Attributes:
        verdict: confirmed, refuted or cannot tell. sentence: for people to quote.
        why: why nobody can tell. provenance: every kind of evidence behind it, in words.
        same: whether it is the expected verdict; None where nothing is expected, on another card.
        card: what ran on, where something ran.
    """

    claim: Claim
    verdict: str
    sentence: str
    why: str
    note: str
    provenance: str
    shown: tuple[Shown, ...]
    same: bool | None
    card: str


def find(ledger: Ledger, claim: Claim, records: Records, device: Target) -> Finding:
    """The finding on one claim.

    Args:
        records: of everything that ``evaluation.needed`` names.
        device: where the runs that name no card of their own were made.

    Raises:
        RequestError: the claim's rules contradict each other.
    """
    evaluation = Evaluation(claim, records)
    try:
        kind, why = verdict(claim, evaluation)
        quote = claim.quotes.get(kind)
        sentence = _generic(claim, kind, why) if quote is None else quote
        sentence, note = (fill(text, claim.quantities, evaluation.value) for text in (sentence, claim.note))
        why = fill(why, claim.quantities, evaluation.value) if why == claim.because else why
        shown = tuple(_shown(claim, name, evaluation) for name in used(claim))
    except AmountError as error:
        raise RequestError(f"{claim.where}: {error}", hint=f"fix {claim.where}") from error
    at_home = (device.gpu.id, device.platform, device.reserve_bytes) == (ledger.gpu, "linux", 0)
    moved = not at_home and any(each.gpu is None for each in needed(claim))
    return Finding(
        claim=claim,
        verdict=kind,
        sentence=sentence,
        why=why,
        note=note,
        provenance=" + ".join(_provenances(shown)) or COMPUTED,
        shown=shown,
        same=None if moved else kind == claim.expected,
        card=", ".join(dict.fromkeys(_cards(claim, records))),
    )


def find_all(
    ledgers: Iterable[Ledger], ask: Callable[[Sequence[Asked]], Records], device: Target
) -> list[tuple[Ledger, list[Finding]]]:
    """Every claim's finding; all runs are asked for at once.

    Raises:
        RequestError: see ``find``.
        MachineError: nothing can run here.
    """
    ledgers = tuple(ledgers)
    records = ask([each for ledger in ledgers for claim in ledger.claims for each in needed(claim)])
    return [(ledger, [find(ledger, claim, records, device) for claim in ledger.claims]) for ledger in ledgers]


def _generic(claim: Claim, kind: str, why: str) -> str:
    """For a verdict that the claim's author did not foresee."""
    words = {"confirmed": "holds", "refuted": "does not hold"}.get(kind, "could not be checked")
    text = f"“{claim.says}” {words}" + (f": {why}." if why else ".")
    return text.replace("{", "{{").replace("}", "}}")


def _shown(claim: Claim, name: str, evaluation: Evaluation) -> Shown:
    owner, _, figure = name.partition(".")
    quantity = claim.quantities[owner]
    value = evaluation.value(name)
    assert value is not None
    provenance, how = _origin(quantity, figure, evaluation, value)
    return Shown(
        name=name, value=show(value, unit_of(claim.quantities, name)), provenance=provenance, how=how
    )


def _origin(
    quantity: Given | Card | Run | Formula, figure: str, evaluation: Evaluation, value: Value
) -> tuple[str, str]:
    match quantity:
        case Given(provenance=provenance, source=source):
            return provenance, source
        case Formula(text=text):
            return COMPUTED, text
        case Card(gpu=gpu):
            key = figures.OF_CARD[figure][0]
            return PUBLISHED, f"{gpu.name}: {gpu.sources.get(key, 'catalog')}"
        case Run(asked=None, refusal=refusal):
            return COMPUTED, f"nanocheck refuses the configuration: {refusal}"
        case Run(asked=asked):
            assert asked is not None
            if figure in figures.OF_RECORD:
                record = evaluation.records.get(asked)
                meaning = figures.OF_RECORD[figure].meaning
                where = "" if record is None else f" on {record.device.name}"
                held = asked.reserve_bytes
                where += "" if not held else f" of which others hold {mib(held)} MiB"
                steps = "" if asked.steps is None else f", {asked.steps} steps"
                provenance = "virtual" if record is None else record.provenance
                return provenance, f"{meaning} of {asked.config.id}{where}{steps}"
            meaning = figures.OF_CONFIG[figure].meaning if figure in figures.OF_CONFIG else figure
            return COMPUTED, f"{meaning} of {asked.config.id}"
    raise AssertionError(quantity)


def _provenances(shown: Sequence[Shown]) -> list[str]:
    """The kinds of evidence, the strongest first; that a claim says something is none."""
    found = {each.provenance for each in shown}
    order = ("measured", "virtual", COMPUTED, PUBLISHED, ASSUMED)
    return [each for each in order if each in found]


def _cards(claim: Claim, records: Records) -> list[str]:
    return [str(records[each].device.name) for each in needed(claim) if each in records]
