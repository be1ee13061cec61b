"""What came out of a claim, as data that is stored and shown."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

CONFIRMED, REFUTED, CANNOT_TELL = "confirmed", "refuted", "cannot tell"
VERDICTS = (CONFIRMED, REFUTED, CANNOT_TELL)
#: Where a figure may come from, beside a run's own ``measured`` and ``virtual``.
COMPUTED, PUBLISHED, ASSUMED, SAID = "computed", "published", "assumed", "said"
MODELLED = "modelled"
#: The strongest first; that a claim says something is no evidence.
_EVIDENCE = ("measured", "virtual", MODELLED, COMPUTED, PUBLISHED, ASSUMED)


class FigureRow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure behind a verdict: its value as shown, where it comes from, and how it is known.

    ``how`` is a source, a formula over other figures, or what ran.
    """

    name: str
    value: str
    provenance: str
    how: str


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What came out of one claim.

    Attributes:
        says: the claim in its author's words, or nearly.
        verdict: confirmed, refuted or cannot tell. sentence: for people to quote.
        expected: the verdict that was found when the claim was written.
        as_expected: whether it came out again; None where nothing is expected, on another card.
        why: why nobody can tell. remark: what else a reader must know.
        provenance: every kind of evidence behind it, in words.
        card: what ran on, where something ran.
        confirmed_if, refuted_if: what decided.
    """

    id: str
    title: str
    says: str
    verdict: str
    expected: str
    as_expected: bool | None
    sentence: str
    why: str
    remark: str
    provenance: str
    card: str
    confirmed_if: str
    refuted_if: str
    figures: tuple[FigureRow, ...]

    @property
    def rules(self) -> list[tuple[str, str]]:
        """What decided, each with its words."""
        both = (("confirmed if", self.confirmed_if), ("refuted if", self.refuted_if))
        return [(words, formula) for words, formula in both if formula]


def evidence(rows: Iterable[FigureRow]) -> str:
    """Every kind of evidence in the rows, the strongest first: ``virtual + computed``."""
    found = {row.provenance for row in rows}
    return " + ".join(each for each in _EVIDENCE if each in found) or COMPUTED
