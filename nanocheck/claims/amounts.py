"""Numbers that know their unit and how exactly they are known.

An ``Amount`` is a range, from ``low`` to ``high`` in base units (bytes, seconds, joules, US dollars), and the
powers of those units. Arithmetic is interval arithmetic: the result holds every value that values of the
operands can give. A comparison of ranges that overlap is neither true nor false: it is ``Unknown``, and so
is what follows from it. Counts (tokens, parameters, FLOPs) have no unit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

#: Powers of (byte, second, joule, US dollar).
Dimension = tuple[int, int, int, int]
COUNT: Dimension = (0, 0, 0, 0)
BYTES: Dimension = (1, 0, 0, 0)
_NAMES = ("bytes", "seconds", "joules", "dollars")
#: Larger numbers, and powers, are a slip of the pen.
LARGEST, LARGEST_POWER = 10**200, 64
#: Fractions of more bits than this are rounded as floats are, so that no formula takes long.
_LONGEST_FRACTION = 4096


class AmountError(ValueError):
    """An operation that makes no sense, such as bytes plus seconds; the message is for people."""


@dataclass(frozen=True)
class Amount:
    """A range ``low <= x <= high``, exact as fractions: 0.1 is a tenth here."""

    low: Fraction
    high: Fraction
    dimension: Dimension = COUNT

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            end: Fraction = getattr(self, name)
            if abs(end) > LARGEST:
                raise AmountError("expected a number below 1e200")
            if end.denominator.bit_length() > _LONGEST_FRACTION:
                object.__setattr__(self, name, Fraction(float(end)))
        if self.low > self.high:
            raise AmountError(
                f"expected a range from low to high, found {float(self.low):g} to {float(self.high):g}"
            )

    @property
    def exact(self) -> bool:
        return self.low == self.high


@dataclass(frozen=True)
class Unknown:
    """What nobody knows: a figure of a run that gave none, or whether overlapping ranges differ.

    ``kind`` is amount, text or truth, so that a file can be checked before anything ran.
    """

    why: str
    kind: str = "amount"
    dimension: Dimension = COUNT


#: What an expression may be worth.
Value = Amount | str | bool | Unknown


def between(low: float | Fraction, high: float | Fraction, dimension: Dimension = COUNT) -> Amount:
    """The range from one number to another; a float is what it is written as.

    Raises:
        AmountError: no finite number below 1e200, or the second is the smaller one.
    """
    ends = [each if isinstance(each, int | Fraction) else repr(each) for each in (low, high)]
    try:
        return Amount(Fraction(ends[0]), Fraction(ends[1]), dimension)
    except ValueError as error:
        raise AmountError(f"expected finite numbers, found {low} and {high}") from error


def exactly(number: float | Fraction, dimension: Dimension = COUNT) -> Amount:
    """The range of one number."""
    return between(number, number, dimension)


def kind_of(value: Value) -> str:
    """amount, text or truth."""
    if isinstance(value, Unknown):
        return value.kind
    return "truth" if isinstance(value, bool) else "text" if isinstance(value, str) else "amount"


def describe(dimension: Dimension) -> str:
    """``bytes``, ``joules per seconds``, ``a count``."""
    above = [name + (f"^{power}" if power > 1 else "") for name, power in _named(dimension) if power > 0]
    below = [name + (f"^{-power}" if power < -1 else "") for name, power in _named(dimension) if power < 0]
    if not above and not below:
        return "a count"
    return (" x ".join(above) or "1") + ("" if not below else " per " + " x ".join(below))


def add(left: Value, right: Value) -> Value:
    return _same(left, right, "+", lambda a, b: (a.low + b.low, a.high + b.high))


def subtract(left: Value, right: Value) -> Value:
    return _same(left, right, "-", lambda a, b: (a.low - b.high, a.high - b.low))


def smaller(left: Value, right: Value) -> Value:
    return _same(left, right, "min", lambda a, b: (min(a.low, b.low), min(a.high, b.high)))


def larger(left: Value, right: Value) -> Value:
    return _same(left, right, "max", lambda a, b: (max(a.low, b.low), max(a.high, b.high)))


def span(left: Value, right: Value) -> Value:
    """Everything between the two."""
    return _same(left, right, "span", lambda a, b: (min(a.low, b.low), max(a.high, b.high)))


def negative(value: Value) -> Value:
    return subtract(exactly(0, _dimension(value, "-")), value)


def multiply(left: Value, right: Value) -> Value:
    powers = _combine(_dimension(left, "*"), _dimension(right, "*"), 1)
    if unknown := first_unknown(left, right):
        return Unknown(unknown.why, "amount", powers)
    assert isinstance(left, Amount)
    assert isinstance(right, Amount)
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return Amount(min(ends), max(ends), powers)


def divide(left: Value, right: Value) -> Value:
    powers = _combine(_dimension(left, "/"), _dimension(right, "/"), -1)
    if unknown := first_unknown(left, right):
        return Unknown(unknown.why, "amount", powers)
    assert isinstance(left, Amount)
    assert isinstance(right, Amount)
    if right.low <= 0 <= right.high:
        return Unknown("a division by what may be 0", "amount", powers)
    ends = [a / b for a in (left.low, left.high) for b in (right.low, right.high)]
    return Amount(min(ends), max(ends), powers)


def power(base: Value, exponent: Value) -> Value:
    """Whole exponents only; an even power of a range across 0 reaches down to 0."""
    before = _dimension(base, "**")
    if not isinstance(exponent, Amount) or not exponent.exact or exponent.dimension != COUNT:
        raise AmountError("**: expected a whole number as the exponent")
    if exponent.low.denominator != 1 or abs(exponent.low) > LARGEST_POWER:
        found = float(exponent.low)
        raise AmountError(f"**: expected a whole exponent of at most {LARGEST_POWER}, found {found:g}")
    n = int(exponent.low)
    if n < 0:
        return divide(exactly(1), power(base, exactly(-n)))
    powers = (before[0] * n, before[1] * n, before[2] * n, before[3] * n)
    if isinstance(base, Unknown):
        return Unknown(base.why, "amount", powers)
    assert isinstance(base, Amount)
    ends = [base.low**n, base.high**n]
    low = Fraction(0) if n and n % 2 == 0 and base.low < 0 < base.high else min(ends)
    return Amount(low, max(ends), powers)


def less(left: Value, right: Value) -> Value:
    return _compared(left, right, "<", lambda a, b: a.high < b.low, lambda a, b: a.low >= b.high)


def at_most(left: Value, right: Value) -> Value:
    return _compared(left, right, "<=", lambda a, b: a.high <= b.low, lambda a, b: a.low > b.high)


def more(left: Value, right: Value) -> Value:
    return _compared(left, right, ">", lambda a, b: a.low > b.high, lambda a, b: a.high <= b.low)


def at_least(left: Value, right: Value) -> Value:
    return _compared(left, right, ">=", lambda a, b: a.low >= b.high, lambda a, b: a.high < b.low)


def equal(left: Value, right: Value) -> Value:
    """Ranges that overlap may be equal or not."""
    if kind_of(left) != kind_of(right):
        raise AmountError(f"==: expected two of a kind, found {kind_of(left)} and {kind_of(right)}")
    if kind_of(left) != "amount":
        unknown = first_unknown(left, right)
        return Unknown(unknown.why, "truth") if unknown else left == right
    return _compared(
        left,
        right,
        "==",
        lambda a, b: a.exact and b.exact and a.low == b.low,
        lambda a, b: a.high < b.low or b.high < a.low,
    )


def within(left: Value, right: Value) -> Value:
    """Whether the left range lies in the right one: false if they do not touch, else unknown."""
    return _compared(
        left,
        right,
        "in",
        lambda a, b: b.low <= a.low and a.high <= b.high,
        lambda a, b: a.high < b.low or b.high < a.low,
    )


def opposite(value: Value) -> Value:
    _truth(value, "not")
    return value if isinstance(value, Unknown) else not value


def both(left: Value, right: Value) -> Value:
    """Kleene's and: false wins over unknown."""
    _truth(left, "and")
    _truth(right, "and")
    if left is False or right is False:
        return False
    return first_unknown(left, right) or True


def either(left: Value, right: Value) -> Value:
    """Kleene's or: true wins over unknown."""
    _truth(left, "or")
    _truth(right, "or")
    if left is True or right is True:
        return True
    return first_unknown(left, right) or False


def first_unknown(*values: Value) -> Unknown | None:
    return next((each for each in values if isinstance(each, Unknown)), None)


def _same(
    left: Value, right: Value, word: str, ends: Callable[[Amount, Amount], tuple[Fraction, Fraction]]
) -> Value:
    """An operation on two amounts of the same unit."""
    powers = _agree(left, right, word)
    if unknown := first_unknown(left, right):
        return Unknown(unknown.why, "amount", powers)
    assert isinstance(left, Amount)
    assert isinstance(right, Amount)
    return Amount(*ends(left, right), powers)


def _compared(
    left: Value,
    right: Value,
    word: str,
    surely: Callable[[Amount, Amount], bool],
    surely_not: Callable[[Amount, Amount], bool],
) -> Value:
    _agree(left, right, word)
    if unknown := first_unknown(left, right):
        return Unknown(unknown.why, "truth")
    assert isinstance(left, Amount)
    assert isinstance(right, Amount)
    if surely(left, right):
        return True
    return False if surely_not(left, right) else Unknown("the ranges overlap", "truth")


def _agree(left: Value, right: Value, word: str) -> Dimension:
    one, other = _dimension(left, word), _dimension(right, word)
    if one != other:
        raise AmountError(f"{word}: expected the same unit, found {describe(one)} and {describe(other)}")
    return one


def _dimension(value: Value, word: str) -> Dimension:
    if isinstance(value, Amount) or (isinstance(value, Unknown) and value.kind == "amount"):
        return value.dimension
    raise AmountError(f"{word}: expected a number, found a {kind_of(value)}")


def _truth(value: Value, word: str) -> None:
    if kind_of(value) != "truth":
        raise AmountError(f"{word}: expected something true or false, found {kind_of(value)}")


def _combine(left: Dimension, right: Dimension, sign: int) -> Dimension:
    first, second, third, fourth = (a + sign * b for a, b in zip(left, right, strict=True))
    return first, second, third, fourth


def _named(dimension: Dimension) -> list[tuple[str, int]]:
    return list(zip(_NAMES, dimension, strict=True))
