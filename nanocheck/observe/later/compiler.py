"""A loop's body as what decides branches and sizes, to be run over plain numbers.

What cannot be computed is left out: it makes the names it sets unknown. Where a test is unknown, both its
branches may run.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nanocheck.observe.later.arithmetic import Arithmetic, dotted
from nanocheck.observe.later.bookkeeping import costly, is_bookkeeping, phases
from nanocheck.observe.later.loops import Names
from nanocheck.observe.later.operations import (
    NEXT,
    ON,
    OVER,
    Body,
    Branch,
    Op,
    Sink,
    Size,
    and_on,
    decides,
    ends,
    forgets,
    perhaps,
    sets,
)

if TYPE_CHECKING:
    from nanocheck.observe.later.loops import Function

_CHANGING = (
    *("append", "appendleft", "extend", "insert", "pop", "popleft", "remove", "clear", "update", "add"),
    *("setdefault", "sort", "reverse"),
)
#: Looked into by nobody, except for the names that they set; ``match`` came with Python 3.10.
_SET_ASIDE = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, getattr(ast, "Match", ast.ClassDef))
_LIMIT = 400  # statements and expressions that are kept


@dataclass(frozen=True, eq=False)
class Running:
    """A frame of the script: its names, its line, and the function that it runs."""

    file: str
    line: int
    names: Names
    function: Function | None


def assigned(nodes: Sequence[ast.AST]) -> set[str]:
    """Names and dotted names that statements set, and containers that they change."""
    found = set()
    for node in nodes:
        for each in ast.walk(node):
            if isinstance(getattr(each, "ctx", None), (ast.Store, ast.Del)):
                found.add(dotted(each.value if isinstance(each, ast.Subscript) else each))
            if isinstance(each, ast.Attribute) and each.attr in _CHANGING:
                found.add(dotted(each.value))
    return found - {""}


class Compiler:
    """Of one loop, or of a function that it calls.

    Args:
        moving: names that each iteration may set. counters: of these, what a ``for`` counts with.
        whole: all statements of the loop or function.
        running: the frame of the loop, and those that it called, the outermost first.
        prefix: of names in the state.
    """

    def __init__(
        self,
        moving: set[str],
        counters: set[str],
        whole: Sequence[ast.stmt],
        running: Sequence[Running],
        prefix: str = "",
    ) -> None:
        self._running = running
        self._names = running[0].names
        self._line = running[0].line
        self._file = running[0].file
        self._arithmetic = Arithmetic(moving, self._names, prefix)
        self._counters = counters | set(_counted(whole))
        self._kept = 0

    def block(self, statements: Sequence[ast.stmt]) -> Body:
        """Compile."""
        body = Body()
        for at, each in enumerate(statements):
            if self._kept >= _LIMIT:
                break
            rest = statements[at + 1 :]
            if isinstance(each, ast.If) and rest and self._arithmetic.moves(each.test):
                # What follows a `continue` is a branch, too.
                if _leaves(each.body):
                    self._if(each.test, each.body, [*each.orelse, *rest], each.lineno, body)
                    break
                if _leaves(each.orelse):
                    self._if(each.test, [*each.body, *rest], each.orelse, each.lineno, body)
                    break
            self._statement(each, body)
        return body

    def _add(self, body: Body, op: Op, inner: Sequence[Body] = (), *, sites: int = 0) -> None:
        self._kept += 1
        body.ops.append(op)
        body.weight += 1 + sum(each.weight for each in inner)
        body.sites += sites + sum(each.sites for each in inner)

    def _statement(self, node: ast.stmt, body: Body) -> None:
        if isinstance(node, ast.If):
            self._sites([node.test], body)
            self._if(node.test, node.body, node.orelse, node.lineno, body)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.While)):
            self._nested(node, body)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            self._sites([each.context_expr for each in node.items], body)
            self._forget(assigned(node.items), body)
            inner = self.block(node.body)
            self._add(body, inner.run, [inner])
        elif isinstance(node, ast.Try):
            for part in (node.body, node.orelse, node.finalbody):
                inner = self.block(part)
                if inner.ops:
                    self._add(body, inner.run, [inner])
            self._forget(assigned(node.handlers), body)
        elif isinstance(node, (ast.Break, ast.Return, ast.Raise)):
            self._add(body, ends(OVER))
        elif isinstance(node, ast.Continue):
            self._add(body, ends(NEXT))
        elif isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            self._assign(node, body)
        elif isinstance(node, _SET_ASIDE):
            self._forget(assigned([node]), body)
        else:
            self._sites([node], body)
            self._forget(assigned([node]), body)

    def _if(
        self, test: ast.expr, yes: Sequence[ast.AST], no: Sequence[ast.AST], line: int, body: Body
    ) -> None:
        compute = self._arithmetic.compute(test)
        blocks: list[Body] = []
        branches: list[Branch | None] = []
        for part in (yes, no):
            own = [each for each in part if not isinstance(each, ast.If)]
            action = costly(own, self._names)
            branches.append(None if action is None else self._branch(action.lineno, line, part))
            blocks.append(self.block([each for each in part if isinstance(each, ast.stmt)]))
        if not any(branches) and not any(each.ops for each in blocks):
            return
        sets = [self._arithmetic.prefix + each for each in assigned([*yes, *no])]
        sites = sum(each is not None for each in branches)
        self._add(body, decides(compute, blocks, branches, sets), blocks, sites=sites)

    def _branch(self, line: int, test: int, part: Sequence[ast.AST]) -> Branch:
        return Branch(self._file, line, test < self._line, frozenset(phases(part, self._names)))

    def _nested(self, node: ast.For | ast.AsyncFor | ast.While, body: Body) -> None:
        """A loop in the loop: once, with what it sets unknown."""
        self._sites([node.test if isinstance(node, ast.While) else node.iter], body)
        self._forget(assigned([node]), body)
        inner = self.block(node.body)
        if inner.ops:
            self._add(body, perhaps(inner), [inner])
        self._forget(assigned([node]), body)

    def _assign(self, node: ast.Assign | ast.AugAssign | ast.AnnAssign, body: Body) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        name = dotted(targets[0]) if len(targets) == 1 else ""
        value = node.value
        if value is None:
            return
        if isinstance(node, ast.AugAssign):
            read = ast.copy_location(ast.parse(name or "_", mode="eval").body, node)
            value = ast.copy_location(ast.BinOp(read, node.op, node.value), node)
        self._sites([node.value], body)
        if not name:
            self._forget(assigned([node]), body)
        elif name in self._arithmetic.moving:
            key, compute = self._arithmetic.prefix + name, self._arithmetic.compute(value)
            self._add(body, sets(key, compute))

    def _forget(self, names: set[str], body: Body) -> None:
        keys = [self._arithmetic.prefix + each for each in names]
        if keys:
            self._add(body, forgets(keys))

    def _sites(self, nodes: Sequence[ast.AST | None], body: Body) -> None:
        """Sizes and conditional expressions in expressions."""
        for node in filter(None, nodes):
            for each in _expressions(node):
                if isinstance(each, ast.Call):
                    self._called(each, body)
                    counts = dotted(each.func) == "range"
                    if counts or not is_bookkeeping(each, self._names):
                        for one in _arguments(each):
                            if self._is_size(one, bare=counts):
                                self._size(one, body, counts=counts)
                elif isinstance(each, ast.Slice) and each.upper is not None:
                    size = each.upper
                    if each.lower is not None:
                        size = ast.copy_location(ast.BinOp(size, ast.Sub(), each.lower), size)
                    if self._is_size(size, bare=True):
                        self._size(size, body, counts=True)
                elif isinstance(each, ast.IfExp) and self._arithmetic.moves(each.test):
                    self._if(each.test, [each.body], [each.orelse], each.lineno, body)

    def _called(self, call: ast.Call, body: Body) -> None:
        """The function that the loop is in just now, with the arguments that move."""
        function = self._running[1].function if len(self._running) > 1 else None
        if function is None or not call.lineno <= self._line <= (call.end_lineno or call.lineno):
            return
        name = dotted(call.func).rpartition(".")[2] or getattr(call.func, "attr", "")
        parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
        if isinstance(call.func, ast.Attribute) and parameters[:1] == ["self"]:
            del parameters[0]
        if name != function.name or any(isinstance(each, ast.Starred) for each in call.args):
            return
        given = dict(zip(parameters, call.args))
        given |= {each.arg: each.value for each in call.keywords if each.arg}
        given = {each: value for each, value in given.items() if self._arithmetic.moves(value)}
        counters = set(given)  # the call reported their sizes already
        given |= dict(self._shared(call.func, function))
        prefix = f"{self._arithmetic.prefix}{name}/"
        moving = assigned(function.body) | set(given)
        counters |= {each for each, value in given.items() if dotted(value) in self._counters}
        inner = Compiler(moving, counters, function.body, self._running[1:], prefix)
        within = inner.block(function.body)
        for each, value in given.items():
            self._add(body, sets(prefix + each, self._arithmetic.compute(value)))
        self._add(body, and_on(within), [within])

    def _shared(self, func: ast.expr, function: Function) -> Iterator[tuple[str, ast.expr]]:
        """Names that move here and that a called function reads by itself: of the module, or of ``self``."""
        owner = f"{dotted(func.value)}." if isinstance(func, ast.Attribute) else ""
        own = assigned(function.body) | {each.arg for each in function.args.args}
        for name in self._arithmetic.moving:
            value = ast.parse(name, mode="eval").body
            if owner and name.startswith(owner):
                yield f"self.{name.removeprefix(owner)}", value
            elif self._running[0].function is None and name.partition(".")[0] not in own:
                yield name, value

    def _is_size(self, node: ast.expr, *, bare: bool = False) -> bool:
        """Whether it is a number that hangs on a counter. A counter by itself more often is a step's name."""
        kinds = (ast.BinOp, ast.Call, ast.IfExp, ast.Subscript)
        named = bool(dotted(node)) and dotted(node) not in self._counters
        return (bare or named or isinstance(node, kinds)) and self._arithmetic.moves(node)

    def _size(self, node: ast.expr, body: Body, *, counts: bool) -> None:
        passed = node.lineno < self._line
        size = Size(self._file, node.lineno, passed, ast.unparse(node), counts)
        compute = self._arithmetic.compute(node)

        def op(state: dict[str, Any], sink: Sink, sure: bool) -> int:
            value = compute(state)
            if type(value) is int:
                sink.sized(size, value)
            return ON

        self._add(body, op, sites=1)


def _expressions(node: ast.AST) -> Iterator[ast.AST]:
    """What runs with a statement: no function that is only defined in it, none of its blocks."""
    if not isinstance(node, (ast.Lambda, ast.FunctionDef)):
        yield node
        for each in ast.iter_child_nodes(node):
            yield from _expressions(each)


def _arguments(call: ast.Call) -> Iterator[ast.expr]:
    """Of a shape each length."""
    for each in (*call.args, *(keyword.value for keyword in call.keywords)):
        yield from each.elts if isinstance(each, (ast.Tuple, ast.List)) else [each]


def _counted(nodes: Sequence[ast.AST]) -> Iterator[str]:
    """Names to which one is added."""
    for node in nodes:
        for each in ast.walk(node):
            if (
                isinstance(each, ast.AugAssign)
                and isinstance(each.value, ast.Constant)
                and each.value.value == 1
            ):
                yield dotted(each.target)


def _leaves(block: Sequence[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], (ast.Continue, ast.Break, ast.Return, ast.Raise))
