"""Units by name, and numbers with units as words.

Inside, every quantity is in base units: bytes, seconds, joules, US dollars; counts (tokens, parameters, FLOP)
have none. A ``Dimension`` holds the powers of the four, so that bytes and seconds cannot be added.
"""

from __future__ import annotations

import difflib
import re
from fractions import Fraction
from typing import NamedTuple

from nanocheck.core.errors import RequestError

#: Powers of (byte, second, joule, US dollar).
Dimension = tuple[int, int, int, int]
COUNT: Dimension = (0, 0, 0, 0)
_BYTE, _SECOND, _JOULE, _DOLLAR = (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)
_NAMES = ("bytes", "seconds", "joules", "dollars")
_SPEC = re.compile(r"(?P<unit>[A-Za-z][A-Za-z/ ]*)?(?:\.(?P<digits>[0-9]))?")


class Unit(NamedTuple):
    """1 of it is so many base units."""

    factor: Fraction
    dimension: Dimension = COUNT


#: KiB to TiB are binary, kB to TB decimal.
UNITS: dict[str, Unit] = {
    "B": Unit(Fraction(1), _BYTE),
    **{f"{letter}iB": Unit(Fraction(1 << 10 * power), _BYTE) for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}B": Unit(Fraction(1000**power), _BYTE) for power, letter in enumerate("kMGT", 1)},
    "ms": Unit(Fraction(1, 1000), _SECOND),
    "s": Unit(Fraction(1), _SECOND),
    "minutes": Unit(Fraction(60), _SECOND),
    "hours": Unit(Fraction(3600), _SECOND),
    "days": Unit(Fraction(86_400), _SECOND),
    "MHz": Unit(Fraction(10**6), (0, -1, 0, 0)),
    "GFLOPS": Unit(Fraction(10**9), (0, -1, 0, 0)),
    "TFLOPS": Unit(Fraction(10**12), (0, -1, 0, 0)),
    "J": Unit(Fraction(1), _JOULE),
    "kWh": Unit(Fraction(3_600_000), _JOULE),
    "W": Unit(Fraction(1), (0, -1, 1, 0)),
    "USD": Unit(Fraction(1), _DOLLAR),
    "percent": Unit(Fraction(1, 100)),
    **{name: Unit(Fraction(1)) for name in ("tokens", "parameters", "FLOP", "sequences", "steps", "times")},
    "million": Unit(Fraction(10**6)),
    "billion": Unit(Fraction(10**9)),
}
#: What a double shows; products of large numbers go beyond it.
_MOST = 10**300
#: Words that stand in no text: the number says enough.
_SHOWN_AS = {"percent": " %", "times": "", "": ""}


def find_unit(text: str) -> Unit:
    """The unit of a name such as ``GiB``, ``USD/kWh`` or ``billion tokens``; an empty one is a plain count.

    Raises:
        RequestError: there is no such unit.
    """
    above, _, below = text.partition("/")
    found = Unit(Fraction(1))
    for part, sign in ((above, 1), (below, -1)):
        for word in part.split():
            if word not in UNITS:
                close = difflib.get_close_matches(word, UNITS, n=1, cutoff=0.4)
                raise RequestError(
                    f"expected a unit, found {word!r}",
                    hint=f"write {close[0]}" if close else f"use one of {', '.join(UNITS)}",
                )
            one = UNITS[word]
            found = Unit(found.factor * one.factor**sign, combined(found.dimension, one.dimension, sign))
    return found


def combined(left: Dimension, right: Dimension, sign: int) -> Dimension:
    """The dimension of a product (sign 1) or quotient (sign -1)."""
    first, second, third, fourth = (a + sign * b for a, b in zip(left, right, strict=True))
    return first, second, third, fourth


def describe(dimension: Dimension) -> str:
    """``bytes``, ``joules per second``, ``a plain number``."""
    powers = list(zip(_NAMES, dimension, strict=True))
    above = [name + (f"^{power}" if power > 1 else "") for name, power in powers if power > 0]
    below = [name[:-1] + (f"^{-power}" if power < -1 else "") for name, power in powers if power < 0]
    if not above and not below:
        return "a plain number"
    return (" x ".join(above) or "1") + ("" if not below else " per " + " x ".join(below))


def parse_spec(spec: str) -> tuple[str, int | None]:
    """Unit (may be empty) and digits after the point of a format such as ``GiB``, ``GiB.2`` or ``.0``.

    Raises:
        RequestError: it is no such format.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise RequestError(f"expected a format such as GiB, GiB.2 or .0, found {spec!r}")
    return (match["unit"] or "").strip(), None if match["digits"] is None else int(match["digits"])


def format_range(low: Fraction, high: Fraction, unit: str, digits: int | None) -> str:
    """``239 to 292 days``, ``9,534.7 MiB``; both ends in base units."""
    factor = find_unit(unit).factor
    first, last = format_number(low / factor, digits), format_number(high / factor, digits)
    return (first if first == last else f"{first} to {last}") + _SHOWN_AS.get(unit, f" {unit}")


def format_number(exact: Fraction, digits: int | None = None) -> str:
    """``1,879,048,192``, ``9,534.7``, ``0.62``, ``4.54e20``: as many digits as a reader can use."""
    if abs(exact) > _MOST:
        return f"{'less than -' if exact < 0 else 'more than '}1e300"
    value = float(exact)
    if digits is not None:
        return f"{value:,.{digits}f}"
    if exact.denominator == 1 and abs(value) < 1e15:
        return f"{int(exact):,}"
    if abs(value) >= 1e15 or abs(value) < 1e-3:
        return f"{value:.3g}".replace("e+", "e")
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
