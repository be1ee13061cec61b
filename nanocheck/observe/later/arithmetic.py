"""Expressions over plain numbers, computed as Python would and never by running the script's code.

A value is what Python has, ``UNKNOWN``, or ``OBJECT``: something of which no more is known than that it is
there, so not ``None``. Truth has three values: ``step > 5 and flag`` is false for step 3 whatever the flag.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

State = Mapping[str, Any]
#: Of the values of the names that move.
Compute = Callable[[State], Any]


class _Unknown:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


UNKNOWN: Final = _Unknown("UNKNOWN")
OBJECT: Final = _Unknown("OBJECT")
_PLAIN = (int, bool, float, str, type(None))
_LARGEST = 1 << 63
_ELEMENTS = 1000  # of a container that is searched
_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda one, many: _among(one, many),
    ast.NotIn: lambda one, many: not _among(one, many),
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{"min": min, "max": max, "abs": abs, "int": int, "bool": bool, "float": float, "round": round},
    **{"math.ceil": math.ceil, "math.floor": math.floor, "math.log2": math.log2},
}
_OF_CONTAINERS = (operator.getitem, len, _COMPARISONS[ast.In], _COMPARISONS[ast.NotIn])
_ERRORS = (ArithmeticError, TypeError, ValueError, LookupError)


def _among(one: Any, many: Any) -> bool:
    """``in``, where no element's own comparison would run."""
    if isinstance(many, str):
        return one in many
    if len(many) > _ELEMENTS or not all(type(each) in _PLAIN for each in many):
        raise TypeError
    return one in many


def plain(value: Any) -> Any:
    """A value of the script as one of ours. Only exact types: anything else could run the script's code."""
    if type(value) in _PLAIN:
        return value
    if type(value) in (list, tuple, dict, set, frozenset):
        return value  # looked into, never changed
    return OBJECT


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of a name or attributes of one; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value)
        return f"{owner}.{node.attr}" if owner else ""
    return ""


def truth(value: Any) -> Any:
    """``True``, ``False`` or ``UNKNOWN``."""
    return UNKNOWN if value is UNKNOWN or value is OBJECT else bool(value)


class Arithmetic:
    """Makes functions of expressions.

    Args:
        moving: names (``step``, ``self.step``) that each iteration may set; a state holds them by ``prefix``
            and name.
        fixed: the value of any other name, as ``plain`` gives it.
    """

    def __init__(self, moving: Collection[str], fixed: Callable[[str], Any], prefix: str = "") -> None:
        self.moving = moving
        self.fixed = fixed
        self.prefix = prefix

    def moves(self, node: ast.AST) -> bool:
        """Whether it mentions a name that moves."""
        return any(dotted(each) in self.moving for each in ast.walk(node))

    def compute(self, node: ast.expr) -> Compute:
        """A function of the state; it never raises."""
        if isinstance(node, ast.Constant):
            return _always(plain(node.value))
        if isinstance(node, (ast.Name, ast.Attribute)):
            return self._name(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _calculated(_OPERATORS[type(node.op)], self.compute(node.left), self.compute(node.right))
        if isinstance(node, ast.UnaryOp):
            return self._unary(node)
        if isinstance(node, ast.BoolOp):
            return _either([self.compute(each) for each in node.values], isinstance(node.op, ast.Or))
        if isinstance(node, ast.Compare):
            return self._compare(node)
        if isinstance(node, ast.IfExp):
            return _chosen(*(self.compute(each) for each in (node.test, node.body, node.orelse)))
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, (ast.Tuple, ast.List)):
            parts = [self.compute(each) for each in node.elts]
            return _calculated(lambda *values: values, *parts)
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Slice):
            return _calculated(operator.getitem, self.compute(node.value), self.compute(node.slice))
        return _always(UNKNOWN)

    def _name(self, node: ast.expr) -> Compute:
        name = dotted(node)
        if name in self.moving:
            key = self.prefix + name
            return lambda state: state.get(key, UNKNOWN)
        return _always(self.fixed(name) if name else UNKNOWN)

    def _unary(self, node: ast.UnaryOp) -> Compute:
        inner = self.compute(node.operand)
        if isinstance(node.op, ast.Not):

            def negated(state: State) -> Any:
                value = truth(inner(state))
                return value if value is UNKNOWN else not value

            return negated
        return _calculated(_UNARY[type(node.op)], inner)

    def _compare(self, node: ast.Compare) -> Compute:
        values = [self.compute(each) for each in (node.left, *node.comparators)]
        links = [_link(op, values[at], values[at + 1]) for at, op in enumerate(node.ops)]
        return links[0] if len(links) == 1 else _either(links, stops_at=False)

    def _call(self, node: ast.Call) -> Compute:
        name = dotted(node.func)
        values = [self.compute(each) for each in node.args]
        if node.keywords or not values or any(isinstance(each, ast.Starred) for each in node.args):
            return _always(UNKNOWN)
        if name == "len" and not self.moves(node):
            return _calculated(len, *values)
        return _calculated(_FUNCTIONS[name], *values) if name in _FUNCTIONS else _always(UNKNOWN)


def _always(value: Any) -> Compute:
    return lambda _: value


def _calculated(function: Callable[..., Any], *parts: Compute) -> Compute:
    """Of known values only, and nothing that grows beyond 63 bits."""

    def run(state: State) -> Any:
        values = [part(state) for part in parts]
        if any(each is UNKNOWN or each is OBJECT for each in values):
            return UNKNOWN
        if function in (operator.pow, operator.lshift) and not _small(*values):
            return UNKNOWN
        if function not in _OF_CONTAINERS and any(type(each) not in _PLAIN for each in values):
            return UNKNOWN  # lists that are joined, or compared element by element
        if function in (operator.mul, operator.mod) and any(type(each) is str for each in values):
            return UNKNOWN  # texts that are repeated or formatted
        try:
            found = function(*values)
        except _ERRORS:
            return UNKNOWN
        if type(found) is int and abs(found) >= _LARGEST:
            return UNKNOWN
        return plain(found)

    return run


def _small(base: Any, exponent: Any) -> bool:
    """Whether base and exponent, or what is shifted and how far, are of a size to compute with."""
    return type(exponent) in (int, bool) and abs(exponent) <= 64 and type(base) in (int, bool, float)


def _either(parts: list[Compute], stops_at: bool) -> Compute:
    """``or`` (stops at what is true) or ``and`` (at what is false), with what Python gives for it."""

    def run(state: State) -> Any:
        unknown = False
        value: Any = UNKNOWN
        for part in parts:
            value = part(state)
            known = truth(value)
            if known is stops_at:
                return value if not unknown else stops_at
            unknown |= known is UNKNOWN
        return UNKNOWN if unknown else value

    return run


def _chosen(test: Compute, yes: Compute, no: Compute) -> Compute:
    def run(state: State) -> Any:
        which = truth(test(state))
        if which is UNKNOWN:
            one, other = yes(state), no(state)
            return one if one is not OBJECT and type(one) is type(other) and one == other else UNKNOWN
        return yes(state) if which else no(state)

    return run


def _link(op: ast.cmpop, left: Compute, right: Compute) -> Compute:
    if isinstance(op, (ast.Is, ast.IsNot)):

        def same(state: State) -> Any:
            one, other = left(state), right(state)
            if UNKNOWN in (one, other) or (one is OBJECT and other is OBJECT):
                return UNKNOWN
            if OBJECT in (one, other) and None not in (one, other):
                return UNKNOWN
            return (one is other) is isinstance(op, ast.Is)

        return same
    return _calculated(_COMPARISONS[type(op)], left, right)
