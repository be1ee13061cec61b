"""Values as words, and sentences with values in them.

``{name}`` shows a quantity in its own unit, ``{name:GiB}`` in another, ``{name:GiB.2}`` with two digits after
the point, ``{name:.0}`` with none. A range shows as ``239 to 292 days``; what nobody knows as ``unknown``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from string import Formatter

from nanocheck.claims import figures
from nanocheck.claims.amounts import Amount, AmountError, Unknown, Value, describe, kind_of
from nanocheck.claims.language import parsed_unit
from nanocheck.claims.quantities import Card, Formula, Given, Quantity, Run

_SPEC = re.compile(r"(?P<unit>[A-Za-z][A-Za-z/ ]*)?(?:\.(?P<digits>[0-9]))?")
#: Units that are counts of something: the number says enough beside them, or they are its word.
_SILENT = ("times",)


def fields_of(text: str) -> list[tuple[str, str]]:
    """Names in braces, with their formats.

    Raises:
        AmountError: braces that do not match.
    """
    try:
        return [(name, spec or "") for _, name, spec, _ in Formatter().parse(text) if name is not None]
    except ValueError as error:
        raise AmountError(f"expected names in braces such as {{fix.allocated:GiB}}, found {error}") from error


def fill(text: str, quantities: Mapping[str, Quantity], value_of: Callable[[str], Value | None]) -> str:
    """The sentence with its values.

    Args:
        value_of: a name's value; ``None`` where there is no such name.

    Raises:
        AmountError: an unknown name, or a unit that is not the quantity's.
    """
    parts: list[str] = []
    fields_of(text)
    for literal, name, spec, conversion in Formatter().parse(text):
        parts.append(literal)
        if name is None:
            continue
        value = value_of(name)
        if value is None or conversion:
            raise AmountError(f"expected the name of a quantity in braces, found {{{name}}}")
        parts.append(show(value, unit_of(quantities, name), spec or ""))
    return "".join(parts)


def show(value: Value, unit: str | None, spec: str = "") -> str:
    """A value as words.

    Raises:
        AmountError: the format names a unit of another kind, or is none.
    """
    match = _SPEC.fullmatch(spec)
    if match is None:
        raise AmountError(f"expected a format such as GiB, GiB.2 or .0, found {spec!r}")
    shown_unit = match["unit"] or unit
    if kind_of(value) == "amount":
        assert isinstance(value, Amount | Unknown)
        one = parsed_unit(shown_unit)
        if one.dimension != value.dimension:
            raise AmountError(f"expected a unit of {describe(value.dimension)}, found {shown_unit}")
        if isinstance(value, Unknown):
            return "unknown"
        digits = None if match["digits"] is None else int(match["digits"])
        word = "" if shown_unit is None or shown_unit in _SILENT else f" {shown_unit}"
        word = "%" if shown_unit == "percent" else word
        return _range(value, one.low, digits) + (" %" if word == "%" else word)
    if spec:
        raise AmountError(f"expected no format for what is no number, found {spec!r}")
    if isinstance(value, Unknown):
        return "unknown"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def unit_of(quantities: Mapping[str, Quantity], name: str) -> str | None:
    """The unit in which a quantity is shown where nothing else is asked for."""
    owner, _, figure = name.partition(".")
    match quantities.get(owner):
        case Given(unit=unit) | Formula(unit=unit):
            return unit
        case Run() if figure not in figures.OF_REFUSAL:
            return (figures.OF_CONFIG.get(figure) or figures.OF_RECORD[figure]).unit
        case Card():
            return figures.OF_CARD[figure][1].unit
    return None


def number(exact: Fraction, digits: int | None = None) -> str:
    """``1,879,048,192``, ``9,534.7``, ``0.62``, ``4.54e20``: as many digits as a reader can use."""
    value = float(exact)
    if digits is not None:
        return f"{value:,.{digits}f}"
    if exact.denominator == 1 and abs(value) < 1e15:
        return f"{int(exact):,}"
    if abs(value) >= 1e15 or abs(value) < 1e-3:
        return f"{value:.3g}".replace("e+", "e")
    return (
        f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.1f}"
    )


def _range(value: Amount, one: Fraction, digits: int | None) -> str:
    low, high = (number(each / one, digits) for each in (value.low, value.high))
    return low if low == high else f"{low} to {high}"
