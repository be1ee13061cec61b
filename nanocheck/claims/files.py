"""Claim files: TOML that says what is claimed, what it depends on, and what would confirm or refute it.

::

    [ledger]
    title = "A note about my card"
    about = "where the claims were read"
    gpu = "rtx4070"                            # the card they are about

    [claim.X1]
    title = "batch 16 halves the headroom"
    says = "with batch 16 only half of the memory stays free"    # the claim, in its author's words
    expected = "refuted"                       # confirmed, refuted or cannot tell: what was found last
    confirmed_if = "large.headroom in half"
    refuted_if = "large.headroom not in half"  # where neither holds, the verdict is: cannot tell
    [claim.X1.run.small]                       # a configuration: the keys of a matrix, and gpu, platform,
    batch = 8                                  # reserve ("2450 MiB"), steps, may_be_refused
    [claim.X1.run.large]
    batch = 16
    [claim.X1.formula.half]                    # arithmetic; unit says how it is shown
    is = "small.headroom / 2"
    unit = "MiB"
    [claim.X1.quote]                           # one sentence for each verdict that may come
    refuted = "Batch 8 leaves {small.headroom:GiB.2}, batch 16 {large.headroom:GiB.2}."

Further quantities: ``[fact.NAME]`` (``value``, ``unit``, ``source``), ``[assumed.NAME]`` (with a ``why``
instead), ``[said.NAME]`` (a figure of the claim itself), ``[card.NAME]`` (``gpu``, an id of the catalog).
Quantities outside of a claim belong to all claims of the file. A value may be a range, ``[18, 22]``; ranges
are carried through, and a comparison of ranges that overlap is unknown. ``language`` says what a formula may
hold, ``figures`` what a run or a card can be asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from nanocheck.claims.evaluation import check
from nanocheck.claims.quantities import (
    CANNOT_TELL,
    VERDICTS,
    Asked,
    Card,
    Claim,
    Formula,
    Ledger,
    Quantity,
    Run,
)
from nanocheck.claims.reading import Table, read_toml
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import NanocheckError, RequestError
from nanocheck.core.gpus import DEFAULT_GPU, find_gpu
from nanocheck.core.units import parse_size_of

#: The claims that come with nanocheck.
BUILT_IN = Path(__file__).with_name("ledger")
_KINDS = ("said", "fact", "assumed", "card", "run", "formula")
#: Tables that hold a value: its provenance, and the key that says where it is from.
_GIVEN = {"said": ("said", None), "fact": ("published", "source"), "assumed": ("assumed", "why")}
_CLAIM_KEYS = (
    *("title", "says", "expected", "confirmed_if", "refuted_if", "because", "note", "quote"),
    *_KINDS,
)
_RUN_KEYS = ("gpu", "platform", "reserve", "steps", "may_be_refused")
_CONFIG_KEYS = tuple(field.name for field in fields(StepConfig))
#: The harness needs three steps to see a steady state; more than these are a slip of the pen.
_STEPS = range(3, 1001)


def load_ledgers(
    files: Iterable[Path] = (), *, gpus: Sequence[Path] = (), built_in: bool = True
) -> tuple[Ledger, ...]:
    """The ledgers that come with nanocheck, then those of the files, each claim id once.

    Args:
        gpus: files of further cards.

    Raises:
        RequestError: a file is wrong; the message names file, table and key.
    """
    paths = [*(sorted(BUILT_IN.glob("*.toml")) if built_in else ()), *files]
    ledgers = tuple(load_ledger(path, gpus) for path in paths)
    first: dict[str, Ledger] = {}
    for ledger in ledgers:
        for claim in ledger.claims:
            if (other := first.setdefault(claim.id, ledger)) is not ledger:
                raise RequestError(
                    f"{claim.where}: expected an id of its own, found that of a claim in {other.file}",
                    hint="give the claim another id",
                )
    return ledgers


def chosen(ledgers: Sequence[Ledger], ids: Sequence[str]) -> tuple[Ledger, ...]:
    """The ledgers with only the claims of these ids, or all of them where none is named.

    Raises:
        RequestError: there is no such claim.
    """
    known = [claim.id for ledger in ledgers for claim in ledger.claims]
    for each in ids:
        if each not in known:
            raise RequestError(
                f"expected the id of a claim, found {each!r}", hint=f"choose among {', '.join(known)}"
            )
    if not ids:
        return tuple(ledgers)
    parts = [
        replace(each, claims=tuple(claim for claim in each.claims if claim.id in ids)) for each in ledgers
    ]
    return tuple(each for each in parts if each.claims)


def load_ledger(path: Path, gpus: Sequence[Path] = ()) -> Ledger:
    """One file's claims, every formula checked: names, units and texts, before anything runs.

    Args:
        gpus: files of further cards.

    Raises:
        RequestError: see ``load_ledgers``.
    """
    file = path.name if path.parent == BUILT_IN else str(path)
    whole = Table(file, read_toml(path))
    whole.only(("ledger", "claim", *_KINDS))
    head = Table(f"{file}: [ledger]", whole.data.get("ledger"))
    head.only(("title", "about", "gpu"))
    shared = _quantities(whole, gpus, {})
    claims = tuple(_claim(name, table, shared, gpus) for name, table in whole.tables("claim").items())
    if not claims:
        raise whole.wrong("claim", "at least one claim, [claim.NAME]", None)
    gpu = head.text("gpu", DEFAULT_GPU)
    return Ledger(
        file=file,
        title=head.text("title"),
        about=head.text("about"),
        gpu=_named(head, "gpu", lambda: find_gpu(gpu, gpus)).id,
        claims=claims,
    )


def _claim(name: str, table: Table, shared: Mapping[str, Quantity], gpus: Sequence[Path]) -> Claim:
    table.only(_CLAIM_KEYS)
    if not name.isascii() or not name.replace("-", "").isalnum():
        raise table.wrong("(its id)", "letters, digits and dashes", name)
    quantities = {**shared, **_quantities(table, gpus, shared)}
    quote = Table(f"{table.where[:-1]}.quote]", table.data.get("quote", {}))
    keys = {verdict.replace(" ", "_"): verdict for verdict in VERDICTS}
    quote.only(tuple(keys))
    claim = Claim(
        id=name,
        title=table.text("title"),
        says=table.text("says"),
        confirmed_if=table.formula("confirmed_if"),
        refuted_if=table.formula("refuted_if"),
        expected=table.choice("expected", VERDICTS),
        because=table.text("because", ""),
        note=table.text("note", ""),
        quotes={verdict: quote.text(key) for key, verdict in keys.items() if key in quote.data},
        quantities=quantities,
        where=table.where,
    )
    if claim.confirmed_if is None and claim.refuted_if is None and not claim.because:
        raise table.wrong("because", "a rule (confirmed_if, refuted_if), or why nobody can tell", None)
    if claim.expected not in claim.quotes:
        key = claim.expected.replace(" ", "_")
        raise quote.wrong(key, f"a sentence for the expected verdict, {claim.expected}", None)
    if claim.expected != CANNOT_TELL and claim.confirmed_if is None and claim.refuted_if is None:
        raise table.wrong("expected", f"{CANNOT_TELL}, where there is no rule", claim.expected)
    check(claim)
    return claim


def _quantities(table: Table, gpus: Sequence[Path], taken: Mapping[str, Quantity]) -> dict[str, Quantity]:
    found: dict[str, Quantity] = {}
    for kind in _KINDS:
        for name, each in table.tables(kind).items():
            each.check_name(name)
            if name in found or name in taken:
                raise each.wrong("(its name)", "a name that no other quantity has", name)
            found[name] = _quantity(kind, each, gpus)
    return found


def _quantity(kind: str, table: Table, gpus: Sequence[Path]) -> Quantity:
    if kind in _GIVEN:
        return table.given(*_GIVEN[kind])
    if kind == "card":
        table.only(("gpu",))
        return Card(gpu=_named(table, "gpu", lambda: find_gpu(table.text("gpu"), gpus)))
    if kind == "run":
        return _run(table, gpus)
    table.only(("is", "unit"))
    formula = table.formula("is", unit=table.unit())
    if formula is None:
        raise table.wrong("is", "a formula", None)
    assert isinstance(formula, Formula)
    return formula


def _run(table: Table, gpus: Sequence[Path]) -> Run:
    table.only((*_RUN_KEYS, *_CONFIG_KEYS))
    data = {key: value for key, value in table.data.items() if key not in _RUN_KEYS}
    refusable = table.data.get("may_be_refused", False)
    if type(refusable) is not bool:
        raise table.wrong("may_be_refused", "true or false", refusable)
    steps = table.data.get("steps")
    if steps is not None and (type(steps) is not int or steps not in _STEPS):
        raise table.wrong("steps", f"a number from {_STEPS[0]} to {_STEPS[-1]}", steps)
    try:
        config = StepConfig.from_dict(data)
    except RequestError as error:
        if refusable:
            return Run(asked=None, refusal=error.problem)
        raise RequestError(f"{table.where}: {error.problem}", hint=error.hint) from error
    gpu, platform, reserve = (table.text(key, "") or None for key in ("gpu", "platform", "reserve"))
    return Run(
        asked=Asked(
            config=config,
            gpu=None if gpu is None else _named(table, "gpu", lambda: find_gpu(gpu, gpus)).id,
            platform=platform,
            reserve_bytes=None
            if reserve is None
            else _named(table, "reserve", lambda: parse_size_of("reserve", reserve)),
            steps=steps,
        )
    )


def _named(table: Table, key: str, make: Any) -> Any:
    """What ``make`` gives; its errors get the place in the file."""
    try:
        return make()
    except NanocheckError as error:
        raise RequestError(f"{table.where}: {key}: {error.problem}", hint=error.hint) from error
