"""The language of the formulas in a claim file: arithmetic, comparisons, and nothing else.

A formula looks like Python and is parsed by Python's own parser, but never run by it: of the tree only the
forms below are walked. There is no call but ``min``, ``max`` and ``span`` (the range from one to the other),
and a dot is part of a name (``fix.allocated`` is one figure of the run ``fix``), looked up in a table and
nowhere else.

::

    + - * / **    < <= > >= == !=    in, not in (a range)    and or not    min max span    ( )
    numbers, "texts", true, false, names of quantities, names of units (GiB, days, TFLOPS, ...)
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Callable, Collection
from functools import reduce

from nanocheck.claims import amounts
from nanocheck.claims.amounts import BYTES, COUNT, Amount, AmountError, Dimension, Unknown, Value, exactly

#: A longer formula is better split into several.
LONGEST = 500
_SECOND: Dimension = (0, 1, 0, 0)
_PER_SECOND: Dimension = (0, -1, 0, 0)
_JOULE: Dimension = (0, 0, 1, 0)
#: 1 of each unit, in base units. KiB to TiB are binary, kB to TB decimal.
UNITS: dict[str, Amount] = {
    "B": exactly(1, BYTES),
    **{f"{letter}iB": exactly(1 << 10 * power, BYTES) for power, letter in enumerate("KMGT", 1)},
    **{f"{letter}B": exactly(1000**power, BYTES) for power, letter in enumerate("kMGT", 1)},
    "ms": exactly(0.001, _SECOND),
    "s": exactly(1, _SECOND),
    "minutes": exactly(60, _SECOND),
    "hours": exactly(3600, _SECOND),
    "days": exactly(86_400, _SECOND),
    "MHz": exactly(10**6, _PER_SECOND),
    "GFLOPS": exactly(10**9, _PER_SECOND),
    "TFLOPS": exactly(10**12, _PER_SECOND),
    "J": exactly(1, _JOULE),
    "kWh": exactly(3_600_000, _JOULE),
    "W": exactly(1, (0, -1, 1, 0)),
    "USD": exactly(1, (0, 0, 0, 1)),
    "percent": exactly(0.01),
    **{name: exactly(1) for name in ("tokens", "parameters", "FLOP", "sequences", "steps", "times")},
    "million": exactly(10**6),
    "billion": exactly(10**9),
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: amounts.add,
    ast.Sub: amounts.subtract,
    ast.Mult: amounts.multiply,
    ast.Div: amounts.divide,
    ast.Pow: amounts.power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Value, Value], Value]] = {
    ast.Lt: amounts.less,
    ast.LtE: amounts.at_most,
    ast.Gt: amounts.more,
    ast.GtE: amounts.at_least,
    ast.Eq: amounts.equal,
    ast.NotEq: lambda left, right: amounts.opposite(amounts.equal(left, right)),
    ast.In: amounts.within,
    ast.NotIn: lambda left, right: amounts.opposite(amounts.within(left, right)),
}
_CALLS = {"min": amounts.smaller, "max": amounts.larger, "span": amounts.span}
_WORDS: dict[str, Value] = {"true": True, "false": False}
#: Names that a quantity cannot have.
RESERVED = frozenset((*UNITS, *_CALLS, *_WORDS, "and", "or", "not", "in", "card"))

#: Gives the value of a name, or None where there is no such quantity.
Lookup = Callable[[str], Value | None]


def parse(text: str) -> ast.expr:
    """The tree of a formula.

    Raises:
        AmountError: it is none.
    """
    if len(text) > LONGEST:
        raise AmountError(f"expected at most {LONGEST} characters, found {len(text)}")
    try:
        return ast.parse(" ".join(text.split()), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise AmountError(f"expected a formula, found {text!r}: {why}") from error


def evaluate(tree: ast.expr, lookup: Lookup, known: Collection[str] = ()) -> Value:
    """What a formula is worth.

    Args:
        lookup: gives quantities; units and ``true``, ``false`` come before them.
        known: names to suggest when one is not found.

    Raises:
        AmountError: a form that is not of the language, an unknown name, or units that do not agree.
    """

    def value(node: ast.expr) -> Value:
        match node:
            case ast.Constant(value=bool()):
                raise AmountError("expected true or false in small letters")
            case ast.Constant(value=int() | float() as number):
                return exactly(number)
            case ast.Constant(value=str() as text):
                return text
            case ast.Name() | ast.Attribute():
                return named(_name(node))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return _ARITHMETIC[type(op)](value(left), value(right))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return amounts.negative(value(operand))
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return amounts.opposite(value(operand))
            case ast.BoolOp(op=op, values=parts):
                join = amounts.both if isinstance(op, ast.And) else amounts.either
                return reduce(join, [value(part) for part in parts])
            case ast.Compare(left=left, ops=ops, comparators=rest):
                return compared([left, *rest], ops)
            case ast.Call(func=ast.Name(id=name), args=[_, *_] as args, keywords=[]) if name in _CALLS:
                return reduce(_CALLS[name], [value(each) for each in args])
            case ast.Call():
                raise AmountError(f"expected no call but {', '.join(_CALLS)}, found {ast.unparse(node)!r}")
        raise AmountError(f"expected arithmetic and comparisons, found {ast.unparse(node)!r}")

    def compared(nodes: list[ast.expr], ops: list[ast.cmpop]) -> Value:
        values = [value(node) for node in nodes]
        result: Value = True
        for op, left, right in zip(ops, values, values[1:], strict=False):
            if type(op) not in _COMPARISONS:
                raise AmountError("expected < <= > >= == != in or not in as a comparison")
            result = amounts.both(result, _COMPARISONS[type(op)](left, right))
        return result

    def named(name: str) -> Value:
        if name in _WORDS:
            return _WORDS[name]
        if name in UNITS:
            return UNITS[name]
        found = lookup(name)
        if found is None:
            folded = {each.lower(): each for each in (*UNITS, *known)}
            close = [folded[each] for each in difflib.get_close_matches(name.lower(), folded, n=3)]
            raise AmountError(
                f"expected the name of a quantity or of a unit, found {name!r}"
                + (f"; close: {', '.join(close)}" if close else "")
            )
        return found

    try:
        return value(tree)
    except RecursionError as error:
        raise AmountError("expected fewer parentheses") from error


def names(tree: ast.expr) -> list[str]:
    """The quantities that a formula names, in its order; units and words left out."""
    found: dict[str, None] = {}

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Name | ast.Attribute):
            found[_name(node)] = None
            return
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(tree)
    return [name for name in found if name not in RESERVED]


def unit(text: str) -> Amount:
    """1 of a unit, such as ``GiB``, ``USD/kWh`` or ``billion tokens``, in base units.

    Raises:
        AmountError: it is none.
    """
    tree = parse(text.replace(" ", "*"))
    found = evaluate(tree, lambda _: None, UNITS)
    if not isinstance(found, Amount) or found.low <= 0:
        raise AmountError(f"expected a unit, found {text!r}")
    return found


def parsed_unit(text: str | None) -> Amount:
    """``unit``, or 1 where none was given: a count."""
    return exactly(1, COUNT) if text is None else unit(text)


def _name(node: ast.expr) -> str:
    """``a`` or ``a.b``; a longer chain is no name of a quantity."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    raise AmountError(f"expected a name such as fix.allocated, found {ast.unparse(node)!r}")


def unknown_like(value: Value, why: str) -> Unknown:
    """Nothing known of a quantity of the same kind and unit."""
    dimension = value.dimension if isinstance(value, Amount | Unknown) else COUNT
    return Unknown(why, amounts.kind_of(value), dimension)
