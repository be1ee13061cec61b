"""The loops of the script's own code that are running, and what counts their iterations."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from nanocheck.observe.frame_variables import variables
from nanocheck.observe.later.arithmetic import OBJECT, UNKNOWN, Arithmetic, dotted, plain

if TYPE_CHECKING:
    Loop = ast.For | ast.While
    Function = ast.FunctionDef | ast.AsyncFunctionDef
#: The same for ``isinstance``, in a Python before 3.10, too.
LOOPS = (ast.For, ast.While)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_LINES = 20_000  # of a file that is read


@dataclass(frozen=True)
class Counter:
    """A name that a ``for`` statement counts with: ``range`` itself, or ``enumerate`` and its like.

    Attributes:
        length: of the loop, where it is known.
    """

    name: str
    start: int
    step: int
    length: int | None


class Names:
    """What names mean in a frame; attributes are read from instances' dictionaries, so that nothing runs."""

    def __init__(self, frame: FrameType) -> None:
        self._local = dict(variables(frame))
        self._global = frame.f_globals

    def __call__(self, name: str) -> Any:
        """As ``plain`` gives it; ``UNKNOWN`` where there is no such name."""
        found = self.thing(name)
        return found if found is UNKNOWN else plain(found)

    def thing(self, name: str) -> Any:
        """The object itself."""
        first, *rest = name.split(".")
        found = self._local.get(first, self._global.get(first, UNKNOWN))
        for each in rest:
            if found is UNKNOWN:
                return UNKNOWN
            found = _attribute(found, each)
        return found

    def numbers(self, names: set[str]) -> dict[str, int]:
        """Those of the names that are whole numbers."""
        found = {each: self(each) for each in names}
        return {each: value for each, value in found.items() if type(value) is int}


def _attribute(owner: Any, name: str) -> Any:
    """Of the instance, else of its classes; nothing that computes what it gives."""
    for each in (owner, *type(owner).__mro__):
        try:
            own = object.__getattribute__(each, "__dict__") if each is owner else vars(each)
        except (AttributeError, TypeError):
            continue
        if isinstance(own, dict) or each is not owner:
            found = own.get(name, UNKNOWN)
            if found is not UNKNOWN:
                return OBJECT if each is not owner and hasattr(type(found), "__set__") else found
    return UNKNOWN


@functools.lru_cache(maxsize=256)
def path_to(file: str, line: int) -> tuple[ast.AST, ...]:
    """The statements of a file that contain a line, the outermost first; () where the file is not there."""
    tree = _tree(file)
    return () if tree is None else tuple(_path(tree, line))


@functools.lru_cache(maxsize=64)
def _tree(file: str) -> ast.Module | None:
    lines = linecache.getlines(file)
    if not 0 < len(lines) <= _LINES:
        return None
    try:
        return ast.parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _path(node: ast.AST, line: int) -> Iterator[ast.AST]:
    for each in ast.iter_child_nodes(node):
        first, last = getattr(each, "lineno", None), getattr(each, "end_lineno", None)
        if first is None or last is None:  # a case, a handler's type: nothing with a place of its own
            yield from _path(each, line)
        elif first <= line <= last and isinstance(each, (ast.stmt, ast.excepthandler)):
            yield each
            yield from _path(each, line)


def function_of(code: CodeType) -> Function | None:
    """The definition of a function of the script."""
    for each in reversed(path_to(code.co_filename, code.co_firstlineno)):
        if isinstance(each, FUNCTIONS) and each.name == code.co_name:
            return each
    # A decorator's line is the code's first, the definition's comes later.
    tree = _tree(code.co_filename)
    found = [] if tree is None else [each for each in ast.walk(tree) if isinstance(each, FUNCTIONS)]
    for each in found:
        first = min([each.lineno, *(one.lineno for one in each.decorator_list)])
        if each.name == code.co_name and first == code.co_firstlineno:
            return each
    return None


def running_loops(frame: FrameType) -> tuple[list[Loop], list[ast.stmt]]:
    """Loops of this frame's own function that contain its line, the outermost first; and the statements of
    that function, for what stands before them.
    """
    path = path_to(frame.f_code.co_filename, frame.f_lineno)
    own = 0
    for at, each in enumerate(path):
        if isinstance(each, (*FUNCTIONS, ast.ClassDef)):
            own = at + 1
    scope: Any = path[own - 1] if own else _tree(frame.f_code.co_filename)
    body = [] if scope is None else scope.body
    if own and getattr(path[own - 1], "name", "") != frame.f_code.co_name:
        return [], []
    loops = [each for each in path[own:] if isinstance(each, LOOPS)]
    return [each for each in loops if each.body[0].lineno <= frame.f_lineno], body


def counter_of(loop: Loop, names: Names) -> Counter | None:
    """Of a ``for`` over ``range`` or ``enumerate``, also within ``tqdm`` and ``zip``."""
    return None if isinstance(loop, ast.While) else _counter(loop.target, loop.iter, names)


def _counter(target: ast.expr, over: ast.expr, names: Names) -> Counter | None:
    if not isinstance(over, ast.Call):
        return None
    function = dotted(over.func).rpartition(".")[2]
    if function in ("range", "trange"):
        return _of_range(dotted(target), over, names)
    targets = target.elts if isinstance(target, ast.Tuple) else []
    if function == "enumerate" and targets and over.args:
        start = over.args[1] if len(over.args) > 1 else None
        for keyword in over.keywords:
            start = keyword.value if keyword.arg == "start" else start
        begins = 0 if start is None else _number(start, names)
        length = _length(over.args[0], names)
        return None if begins is None else Counter(dotted(targets[0]), begins, 1, length)
    if function == "count" and isinstance(target, ast.Name) and len(over.args) <= 1:
        begins = _number(over.args[0], names) if over.args else 0
        return None if begins is None else Counter(target.id, begins, 1, None)
    if function == "zip":
        pairs = zip(targets, over.args)
        return next((one for each in pairs if (one := _counter(*each, names)) is not None), None)
    if function in ("reversed", "sorted") or not over.args:
        return None
    return _counter(target, over.args[0], names)  # tqdm(range(...))


def _of_range(name: str, over: ast.Call, names: Names) -> Counter | None:
    numbers = [_number(each, names) for each in over.args]
    if not name or not numbers or over.keywords:
        return None
    start = numbers[0] if len(numbers) > 1 else 0
    step = numbers[2] if len(numbers) > 2 else 1
    stop = numbers[min(1, len(numbers) - 1)]
    if start is None or not step:
        return None
    return Counter(name, start, step, None if stop is None else len(range(start, stop, step)))


def _length(iterable: ast.expr, names: Names) -> int | None:
    """Where no code of the script is asked."""
    if isinstance(iterable, ast.Call) and dotted(iterable.func) == "range":
        counter = _of_range("_", iterable, names)
        return None if counter is None else counter.length
    thing: Any = names.thing(dotted(iterable)) if dotted(iterable) else None
    return len(thing) if type(thing) in (list, tuple, range, dict) else None


def _number(node: ast.expr, names: Names) -> int | None:
    value = Arithmetic((), names).compute(node)({})
    return value if type(value) is int else None
