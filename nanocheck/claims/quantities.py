"""The kinds of quantities that a claim file may name, as plain data; ``files`` reads them.

``said`` is what the claim says, ``fact`` what somebody published, ``assumed`` what nobody did, ``card`` one
of the catalog, ``run`` a configuration of the training step, ``formula`` arithmetic over the others.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field

from nanocheck.claims.amounts import Amount
from nanocheck.core.config import StepConfig
from nanocheck.core.gpus import Gpu

CONFIRMED, REFUTED, CANNOT_TELL = "confirmed", "refuted", "cannot tell"
VERDICTS = (CONFIRMED, REFUTED, CANNOT_TELL)


@dataclass(frozen=True, kw_only=True)
class Given:
    """A number, range or text that stands in the file, with its provenance and where it is from."""

    value: Amount | str
    unit: str | None
    provenance: str
    source: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """A card of the catalog, whose figures have their sources there."""

    gpu: Gpu


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A configuration and where to run it; ``None`` leaves the choice to whoever asks for the verdict.

    ``steps``: optimizer steps, where the harness's own number is not enough.
    """

    config: StepConfig
    gpu: str | None = None
    platform: str | None = None
    reserve_bytes: int | None = None
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Run:
    """What to run; where nanocheck refuses the configuration, ``asked`` is None and ``refusal`` says why."""

    asked: Asked | None
    refusal: str | None = None


@dataclass(frozen=True, kw_only=True)
class Formula:
    """Arithmetic over other quantities. ``unit`` is how it is shown; a truth has none."""

    text: str
    tree: ast.expr
    unit: str | None


Quantity = Given | Card | Run | Formula


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim with everything its verdict needs.

    Attributes:
        id: such as ``A2``. says: the claim in its author's words, or nearly. title: a few words.
        confirmed_if, refuted_if: rules; where neither holds, nobody can tell.
        expected: the verdict that was found when the claim was written.
        because: why nobody can tell, where the rules alone do not say it.
        note: what else a reader must know.
        quotes: verdict -> sentence with ``{names}`` of quantities.
        where: file and table, for errors.
    """

    id: str
    title: str
    says: str
    confirmed_if: Formula | None
    refuted_if: Formula | None
    expected: str
    because: str
    note: str
    quotes: Mapping[str, str]
    quantities: Mapping[str, Quantity] = field(repr=False)
    where: str


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """One file of claims. ``gpu``: the card they are about, for which the verdicts are expected."""

    file: str
    title: str
    about: str
    gpu: str
    claims: tuple[Claim, ...]
