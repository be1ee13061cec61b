"""Numbers that say how exactly they are known.

An ``Interval`` holds every value that a quantity may have. Arithmetic gives the interval of every result that
values of the operands can give; a comparison of intervals that overlap is neither true nor false but unknown
(``Truth``), and so is whatever follows from it. That is how "cannot tell" comes out by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from nanocheck.claims import named_units as units
from nanocheck.claims.named_units import Dimension
from nanocheck.claims.truth import ATOM, COMPARE, NEGATION, OR, POWER, PRODUCT, SUM, Formula, Truth, joined
from nanocheck.core.errors import RequestError

Number = int | float | Fraction
Ends = tuple[Fraction, Fraction]
#: More than there is of anything; a slip of the pen beyond it.
MOST = 10**100


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Interval:
    """All numbers from ``low`` to ``high``, both included, exact as fractions: 0.1 is a tenth.

    ``Interval(10, 15, "percent")``, ``Interval(2, unit="B")``, ``Interval(3)``. ``f"{x:GiB.2}"`` shows one.

    Attributes:
        ends: low and high in base units (bytes, seconds, joules, dollars), or None where it is unknown.
        dimension: the powers of those units. unit: in which it is shown unless a format says otherwise.
        why: why it is unknown, else empty.
        formula: what it was computed from.

    Raises:
        RequestError: no finite number, one beyond ``MOST``, high below low, or no such unit.
    """

    ends: Ends | None
    dimension: Dimension
    unit: str
    why: str
    formula: Formula

    def __init__(self, low: Number, high: Number | None = None, unit: str = "") -> None:
        one = units.find_unit(unit)
        ends = _exact(low) * one.factor, _exact(low if high is None else high) * one.factor
        if ends[0] > ends[1]:
            raise RequestError(f"expected a range from low to high, found {low} to {high}")
        text = f"{low}" if high is None else f"{low} to {high}"
        plain = high is None and low >= 0 and "/" not in text
        _fill(self, ends, one.dimension, Formula(f"{text} {unit}".rstrip(), ATOM if plain else OR), "", unit)

    @staticmethod
    def unknown(why: str, unit: str = "") -> Interval:
        """A quantity of which nothing is known but its unit."""
        return _made(None, units.find_unit(unit).dimension, Formula("(unknown)"), why, unit)

    def named(self, name: str, unit: str) -> Interval:
        """The same under a name of its own, shown in that unit.

        Raises:
            RequestError: a unit of something else.
        """
        self._check(unit)
        return _made(self.ends, self.dimension, Formula(name), self.why, unit)

    @property
    def low(self) -> Fraction:
        """In base units; RequestError where it is unknown."""
        return self._known()[0]

    @property
    def high(self) -> Fraction:
        """In base units; RequestError where it is unknown."""
        return self._known()[1]

    def __add__(self, other: Interval | Number) -> Interval:
        return _combined(self, "+", interval(other))

    def __sub__(self, other: Interval | Number) -> Interval:
        return _combined(self, "-", interval(other))

    def __mul__(self, other: Interval | Number) -> Interval:
        return _combined(self, "*", interval(other))

    def __truediv__(self, other: Interval | Number) -> Interval:
        return _combined(self, "/", interval(other))

    def __radd__(self, other: Number) -> Interval:
        return interval(other) + self

    def __rsub__(self, other: Number) -> Interval:
        return interval(other) - self

    def __rmul__(self, other: Number) -> Interval:
        return interval(other) * self

    def __rtruediv__(self, other: Number) -> Interval:
        return interval(other) / self

    def __neg__(self) -> Interval:
        ends = None if self.ends is None else (-self.ends[1], -self.ends[0])
        return _made(ends, self.dimension, Formula(f"-{self.formula.inside(NEGATION)}", NEGATION), self.why)

    def __pow__(self, exponent: int) -> Interval:
        """Whole exponents; an even power of a range across 0 reaches down to 0."""
        if not isinstance(exponent, int):
            raise RequestError(f"**: expected a whole number as the exponent, found {exponent!r}")
        base, number = (self, exponent) if exponent >= 0 else (1 / self, -exponent)
        first, second, third, fourth = (power * number for power in base.dimension)
        formula = Formula(f"{self.formula.inside(ATOM)} ** {exponent}", POWER)
        ends = base.ends
        if ends is not None:
            across_0 = number > 0 and number % 2 == 0 and ends[0] < 0 < ends[1]
            ends = _around([each**number for each in ends] + ([Fraction(0)] if across_0 else []))
        return _made(ends, (first, second, third, fourth), formula, base.why)

    def __lt__(self, other: Interval | Number) -> Truth:
        return _compared(self, "<", interval(other))

    def __le__(self, other: Interval | Number) -> Truth:
        return _compared(self, "<=", interval(other))

    def __gt__(self, other: Interval | Number) -> Truth:
        return _compared(self, ">", interval(other))

    def __ge__(self, other: Interval | Number) -> Truth:
        return _compared(self, ">=", interval(other))

    def __eq__(self, other: Interval | Number) -> Truth:  # type: ignore[override]
        """Only exact numbers are surely equal: two values of one range need not be."""
        return _compared(self, "==", interval(other))

    def __ne__(self, other: Interval | Number) -> Truth:  # type: ignore[override]
        return ~(self == other)

    __hash__ = None  # type: ignore[assignment]

    def within(self, other: Interval | Number) -> Truth:
        """Whether it lies inside the other: false where they do not touch, unknown where they overlap."""
        return _compared(self, "within", interval(other))

    def __format__(self, spec: str) -> str:
        """``GiB``, ``GiB.2`` (digits after the point) or ``.0``; what nobody knows is ``unknown``.

        Raises:
            RequestError: no such format, or a unit of something else.
        """
        unit, digits = units.parse_spec(spec)
        self._check(unit or self.unit)
        return "unknown" if self.ends is None else units.format_range(*self.ends, unit or self.unit, digits)

    def __str__(self) -> str:
        return format(self, "")

    def _known(self) -> Ends:
        if self.ends is None:
            raise RequestError(f"{self.formula.text}: expected a known number, found unknown: {self.why}")
        return self.ends

    def _check(self, unit: str) -> None:
        if units.find_unit(unit).dimension != self.dimension:
            raise RequestError(
                f"{self.formula.text}: expected a unit of {units.describe(self.dimension)}, "
                f"found {unit or 'none'}"
            )


def interval(value: Interval | Number) -> Interval:
    """A plain number as an exact ``Interval``.

    Raises:
        RequestError: it is no finite number.
    """
    return value if isinstance(value, Interval) else Interval(value)


def minimum(*values: Interval | Number) -> Interval:
    """The smallest of all, whichever it is."""
    return _call("minimum", values, lambda lows, highs: (min(lows), min(highs)))


def maximum(*values: Interval | Number) -> Interval:
    """The largest of all, whichever it is."""
    return _call("maximum", values, lambda lows, highs: (max(lows), max(highs)))


def span(*values: Interval | Number) -> Interval:
    """Everything from the smallest to the largest, where nobody knows which of them is meant."""
    return _call("span", values, lambda lows, highs: (min(lows), max(highs)))


_ENDS: dict[str, Callable[[Ends, Ends], Ends]] = {
    "+": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "-": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "*": lambda a, b: _around([x * y for x in a for y in b]),
    "/": lambda a, b: _around([x / y for x in a for y in b]),
}
#: Whether a comparison holds for every value of both; where its opposite does, it holds for none.
_SURELY: dict[str, Callable[[Ends, Ends], bool]] = {
    "<": lambda a, b: a[1] < b[0],
    "<=": lambda a, b: a[1] <= b[0],
    ">": lambda a, b: a[0] > b[1],
    ">=": lambda a, b: a[0] >= b[1],
    "==": lambda a, b: a[0] == a[1] == b[0] == b[1],
    "within": lambda a, b: b[0] <= a[0] and a[1] <= b[1],
    "apart": lambda a, b: a[1] < b[0] or b[1] < a[0],
}
_OPPOSITE = {"<": ">=", ">=": "<", "<=": ">", ">": "<=", "==": "apart", "within": "apart"}


def _combined(left: Interval, sign: str, right: Interval) -> Interval:
    if sign in "+-":
        _agree(left, sign, right)
        dimension, binding = left.dimension, SUM
    else:
        dimension = units.combined(left.dimension, right.dimension, 1 if sign == "*" else -1)
        binding = PRODUCT
    formula = joined(left.formula, sign, right.formula, binding)
    if left.ends is None or right.ends is None:
        return _made(None, dimension, formula, left.why or right.why)
    if sign == "/" and right.ends[0] <= 0 <= right.ends[1]:
        return _made(None, dimension, formula, f"a division by what may be 0: {right.formula.text}")
    return _made(_ENDS[sign](left.ends, right.ends), dimension, formula)


def _compared(left: Interval, sign: str, right: Interval) -> Truth:
    _agree(left, sign, right)
    formula = joined(left.formula, sign, right.formula, COMPARE)
    if left.ends is None or right.ends is None:
        return Truth(None, left.why or right.why, formula)
    if _SURELY[sign](left.ends, right.ends):
        return Truth(True, "", formula)
    if _SURELY[_OPPOSITE[sign]](left.ends, right.ends):
        return Truth(False, "", formula)
    return Truth(None, "the ranges overlap", formula)


def _call(
    name: str, values: Sequence[Interval | Number], ends: Callable[[list[Fraction], list[Fraction]], Ends]
) -> Interval:
    given = [interval(each) for each in values]
    for each in given:
        _agree(given[0], name, each)
    formula = Formula(f"{name}({', '.join(each.formula.text for each in given)})")
    known = [each.ends for each in given if each.ends is not None]
    if len(known) < len(given):
        return _made(None, given[0].dimension, formula, next(each.why for each in given if each.ends is None))
    return _made(ends([low for low, _ in known], [high for _, high in known]), given[0].dimension, formula)


def _agree(left: Interval, sign: str, right: Interval) -> None:
    if left.dimension != right.dimension:
        raise RequestError(
            f"{left.formula.text} {sign} {right.formula.text}: expected two of the same unit, found "
            f"{units.describe(left.dimension)} and {units.describe(right.dimension)}",
            hint='give a number its unit: Interval(8, unit="GB")',
        )


def _exact(number: Number) -> Fraction:
    if not isinstance(number, int | float | Fraction) or isinstance(number, bool):
        raise RequestError(f"expected a number, found {number!r} ({type(number).__name__})")
    try:
        found = Fraction(repr(float(number))) if isinstance(number, float) else Fraction(number)
    except ValueError as error:
        raise RequestError(f"expected a finite number, found {number}") from error
    if abs(found) > MOST:
        raise RequestError("expected a number of at most 1e100, found one of more digits than anybody reads")
    return found


def _around(numbers: Sequence[Fraction]) -> Ends:
    return min(numbers), max(numbers)


def _made(
    ends: Ends | None, dimension: Dimension, formula: Formula, why: str = "", unit: str = ""
) -> Interval:
    made = object.__new__(Interval)
    _fill(made, ends, dimension, formula, why, unit)
    return made


def _fill(
    target: Interval, ends: Ends | None, dimension: Dimension, formula: Formula, why: str, unit: str
) -> None:
    values = {"ends": ends, "dimension": dimension, "formula": formula, "why": why, "unit": unit}
    for name, value in values.items():
        object.__setattr__(target, name, value)
