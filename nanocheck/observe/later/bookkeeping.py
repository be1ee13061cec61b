"""Which calls of a script are bookkeeping, that takes no memory of the card: printing, logging, writing.

Anything else counts, functions of the script's own by what they call themselves.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType, MethodType
from typing import Any

from nanocheck.observe.later.arithmetic import OBJECT, UNKNOWN, dotted
from nanocheck.observe.later.loops import Names, function_of
from nanocheck.observe.library_frames import is_installed

#: Functions and methods by their last name.
_NAMES = frozenset(
    """
    print len int float str bool round min max abs range enumerate zip isinstance getattr hasattr open
    format join repr list tuple set sum type id map filter any all next iter input sorted dict item
    tolist write writelines writerow flush close keys values items get pop setdefault popleft strip
    split replace startswith endswith debug info warning warn error exception critical echo
    set_description set_postfix set_postfix_str add_scalar add_scalars add_text add_histogram log_metric
    log_metrics log_dict dump dumps mkdir makedirs parameters named_parameters modules numel size dim
    nelement get_lr get_last_lr time perf_counter sleep strftime now exit barrier SystemExit
    KeyboardInterrupt StopIteration ValueError RuntimeError Exception
    """.split()  # noqa: SIM905 - one a line is no list that anybody reads
)
#: Modules and loggers, by the beginning of a call's name.
_MODULES = (
    *("math.", "os.", "sys.", "time.", "json.", "logging.", "logger.", "log.", "wandb.", "mlflow.", "csv."),
    *("warnings.", "datetime.", "pathlib.", "Path", "shutil.", "gc.", "writer.", "torch.cuda.", "dist."),
    *("random.", "torch.distributed.", "scheduler.", "lr_scheduler.", "sched.", "pbar.", "progress."),
    *("signal.", "run.log"),
)
_BEGINNINGS = ("print", "log", "set_lr", "update_lr", "adjust_lr", "adjust_learning_rate", "set_epoch")
_FUNCTIONS = 200  # that are looked into for one branch
#: As in ``script_code``: a phase that the answer names by itself.
_PHASES = {"eval": ("eval", "validat"), "save": ("save",)}


def costly(statements: Iterable[ast.AST], names: Names, seen: set[CodeType] | None = None) -> ast.expr | None:
    """The first expression that is no bookkeeping, as far as anybody can see.

    Args:
        seen: functions that were looked into already; what they do is nothing new.
    """
    seen = set() if seen is None else seen
    for statement in statements:
        for each in _actions(statement):
            if isinstance(each, ast.Call) and is_bookkeeping(each, names, seen):
                continue
            if isinstance(each, ast.BinOp) and not _of_things(each, names):
                continue
            return each
    return None


def _actions(node: ast.AST) -> Iterator[ast.expr]:
    """Calls, arithmetic and what unfreezes parameters, in the order of the text; a function that is only
    defined does nothing.
    """
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
        return
    if isinstance(node, (ast.Call, ast.BinOp)):
        yield node
    if isinstance(node, ast.Attribute) and node.attr == "requires_grad" and isinstance(node.ctx, ast.Store):
        yield node
    for each in ast.iter_child_nodes(node):
        yield from _actions(each)


def _of_things(node: ast.BinOp, names: Names) -> bool:
    """Arithmetic with a variable that is no plain value, such as a tensor."""
    sides = [dotted(each) for each in (node.left, node.right)]
    return any(each and names(each) is OBJECT for each in sides)


def is_bookkeeping(call: ast.Call, names: Names, seen: set[CodeType] | None = None) -> bool:
    """Whether a call prints, logs or writes."""
    name = dotted(call.func)
    last = name.rpartition(".")[2] if name else getattr(call.func, "attr", "")
    if last == "append":  # numbers, not tensors
        return all(_is_number(each, names) for each in call.args)
    if name.startswith(_MODULES) or last in _NAMES or last.startswith(_BEGINNINGS):
        return True
    seen = set() if seen is None else seen
    body = _body(name, names, seen) if name else None
    return body is not None and costly(body[0], body[1], seen) is None


def _is_number(node: ast.AST, names: Names) -> bool:
    if isinstance(node, (ast.Tuple, ast.BinOp, ast.List)):
        return all(
            _is_number(each, names) for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)
        )
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
        return name in ("item", "float", "int", "len", "round", "time", "perf_counter", "str")
    if isinstance(node, (ast.Name, ast.Attribute)):
        return type(names(dotted(node))) in (int, float, str, bool, type(None)) and bool(dotted(node))
    return isinstance(node, (ast.Constant, ast.JoinedStr))


class _Elsewhere(Names):
    """Names in a function that is not running: those of its module, and ``self``."""

    def __init__(self, function: FunctionType, owner: Any) -> None:
        first = function.__code__.co_varnames[:1] if owner is not UNKNOWN else ()
        self._local = dict.fromkeys(first, owner)
        self._global = function.__globals__


def _body(name: str, names: Names, seen: set[CodeType]) -> tuple[list[ast.stmt], Names] | None:
    """Of a function or method of the script's own; nothing where it was seen."""
    thing = names.thing(name)
    function = thing.__func__ if type(thing) is MethodType else thing
    if type(function) is not FunctionType:
        return None
    file = function.__code__.co_filename
    if is_installed(file) or "/torch/" in file:
        return None
    if function.__code__ in seen:
        return [], names
    if len(seen) >= _FUNCTIONS:
        return None
    seen.add(function.__code__)
    found = function_of(function.__code__)
    owner = names.thing(name.rpartition(".")[0]) if "." in name else UNKNOWN
    return None if found is None else (found.body, _Elsewhere(function, owner))


def phases(statements: Iterable[ast.AST], names: Names, functions: set[CodeType] | None = None) -> set[str]:
    """Evaluation and saving, where these statements, or functions that they call, are about them by names."""
    found: set[str] = set()
    functions = set() if functions is None else functions
    for statement in statements:
        for each in ast.walk(statement):
            name = each.id if isinstance(each, ast.Name) else getattr(each, "attr", "")
            found |= {phase for phase, begin in _PHASES.items() if name.startswith(begin)}
            body = _body(dotted(each.func), names, functions) if isinstance(each, ast.Call) else None
            if body is not None:
                found |= phases(body[0], body[1], functions)
    return found
