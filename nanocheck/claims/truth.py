"""Yes, no, or unknown: what a comparison of inexact numbers gives, and texts that may be unknown.

Every value here and in ``interval`` carries its ``formula``, the text of what it was computed from, so that a
page can show what decided without anybody writing it down a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from nanocheck.core.errors import RequestError

#: How strongly the operations bind, weakest first, as in Python.
OR, AND, NOT, COMPARE, SUM, PRODUCT, NEGATION, POWER, ATOM = range(9)


class Formula(NamedTuple):
    """A text and how strongly its outermost operation binds, so that parentheses stand where needed."""

    text: str
    binding: int = ATOM

    def inside(self, binding: int) -> str:
        """The text as an operand of an operation that binds so strongly."""
        return self.text if self.binding >= binding else f"({self.text})"


#: Of a value that was computed from nothing.
_GIVEN = Formula("(given)")


def joined(left: Formula, sign: str, right: Formula, binding: int) -> Formula:
    """The formula of a binary operation; the right operand needs parentheses where the left one does not."""
    return Formula(f"{left.inside(binding)} {sign} {right.inside(binding + 1)}", binding)


@dataclass(frozen=True)
class Truth:
    """True, false or unknown. Truths are joined with ``&``, ``|`` and ``~``; false and, true or win.

    Attributes:
        value: True, False, or None where it is unknown.
        why: why it is unknown, else empty.
        formula: what was compared.
    """

    value: bool | None
    why: str = field(default="", compare=False)
    formula: Formula = field(default=_GIVEN, compare=False)

    def __and__(self, other: Truth | bool) -> Truth:
        return self._joined(other, "and", AND, winner=False)

    def __or__(self, other: Truth | bool) -> Truth:
        return self._joined(other, "or", OR, winner=True)

    __rand__, __ror__ = __and__, __or__

    def __invert__(self) -> Truth:
        value = None if self.value is None else not self.value
        return Truth(value, self.why, Formula(f"not {self.formula.inside(NOT)}", NOT))

    def __bool__(self) -> bool:
        if self.value is None:
            raise RequestError(
                f"expected true or false, found that nobody knows whether {self.formula.text} ({self.why})",
                hint="join comparisons with & | ~ and hand them to c.decide(); if, and, or, not and "
                "a < b < c cannot wait for an answer",
            )
        return self.value

    def __str__(self) -> str:
        return {True: "yes", False: "no", None: "unknown"}[self.value]

    def _joined(self, other: Truth | bool, sign: str, binding: int, *, winner: bool) -> Truth:
        other = truth(other)
        formula = joined(self.formula, sign, other.formula, binding)
        if winner in (self.value, other.value):
            return Truth(winner, "", formula)
        unknown = next((each for each in (self, other) if each.value is None), None)
        return Truth(not winner, "", formula) if unknown is None else Truth(None, unknown.why, formula)


TRUE, FALSE, UNKNOWN = Truth(True), Truth(False), Truth(None, "nobody knows")


def truth(value: Truth | bool) -> Truth:
    """A plain bool as a ``Truth``."""
    return value if isinstance(value, Truth) else Truth(bool(value), "", Formula(str(value)))


@dataclass(frozen=True, eq=False)
class Text:
    """A text, such as the phase in which a run ended; ``value`` is None where it is unknown.

    ``==`` and ``!=`` give a ``Truth``.
    """

    value: str | None
    why: str = ""
    formula: Formula = _GIVEN

    def __eq__(self, other: object) -> Truth:  # type: ignore[override]
        right = other if isinstance(other, Text) else Text(str(other), "", Formula(repr(other)))
        formula = joined(self.formula, "==", right.formula, COMPARE)
        if self.value is None or right.value is None:
            return Truth(None, self.why or right.why, formula)
        return Truth(self.value == right.value, "", formula)

    def __ne__(self, other: object) -> Truth:  # type: ignore[override]
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return "unknown" if self.value is None else self.value
