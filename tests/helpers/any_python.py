"""The observer in whatever Python runs this, without torch: what it imports, names and finds, as JSON.

Standard library only, and Python 3.9; ``python any_python.py`` with nanocheck on ``PYTHONPATH``.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import json
import linecache
import sys
import types
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_STANDARD = (
    *(
        "ast",
        "contextlib",
        "dis",
        "faulthandler",
        "functools",
        "gc",
        "inspect",
        "itertools",
        "linecache",
        "math",
    ),
    *("os", "re", "signal", "socket", "subprocess", "sys", "threading", "time", "traceback", "weakref"),
)
#: Loops of 60 iterations, of which the first eight are seen.
LOOPS = {
    "range": "for i in range(60):\n    {}\n",
    "while": "i = 0\nwhile i < 60:\n    {}\n    i += 1\n",
    "enumerate": "for i, one in enumerate([None] * 60):\n    {}\n",
    "zip": "for i, one in zip(range(60), [0] * 60):\n    {}\n",
    "function": "def train():\n    for i in range(60):\n        {}\ntrain()\n",
    "called": "def one(i):\n    {}\nfor n in range(60):\n    one(n)\n",
    "with": "with open(__import__('os').devnull):\n    for i in range(60):\n        {}\n",
    "try": "try:\n    for i in range(60):\n        {}\nfinally:\n    pass\n",
}
BODIES = (
    "work(8 * 2 ** (i // 10)); step()",
    "work(8 if i < 30 else 64); step(); x = big() if i % 10 == 9 else None",
    "f = lambda: i; n = [8, 16, 32][min(2, i // 15)]; work(n); step()",
    "work(64); step(); print(f'{i}', end='', file=nowhere)",
)


def main() -> None:
    package = Path(importlib.import_module("nanocheck").__file__ or "").parent
    files = [package / "__init__.py", *sorted((package / "observe").rglob("*.py"))]
    answer = {
        "python": list(sys.version_info[:2]),
        "imports": {each: _imported(each) for each in map(".".join, _modules(package, files))},
        "lacking": sorted({name for file in files for name in _lacking(file)}),
        "findings": {
            f"{loop}: {body}": _found(LOOPS[loop].format(body)) for loop in LOOPS for body in BODIES
        },
        "freed": _frees_what_it_has_looked_at(),
    }
    print(json.dumps(answer))


def _modules(package: Path, files: list[Path]) -> Iterator[tuple[str, ...]]:
    for file in files:
        if file.name != "sitecustomize.py":
            parts = file.relative_to(package.parent).with_suffix("").parts
            yield parts[:-1] if parts[-1] == "__init__" else parts


def _imported(name: str) -> str:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return f"needs {error.name}"
    return "yes"


def _lacking(file: Path) -> Iterator[str]:
    """Names of the standard library, and of code, frames and tracebacks, that this Python does not have."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    modules = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update({each.name: each.name for each in node.names if each.name in _STANDARD})
    frame = sys._getframe()
    given = {"co_": frame.f_code, "f_": frame, "tb_": types.TracebackType}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = modules.get(getattr(node.value, "id", ""))
        if owner is not None and not hasattr(importlib.import_module(owner), node.attr):
            yield f"{file.name}: {owner}.{node.attr}"
        for prefix, thing in given.items():
            if node.attr.startswith(prefix) and not hasattr(thing, node.attr):
                yield f"{file.name}: {node.attr}"


class _StoppedError(Exception):
    pass


def _found(text: str) -> list[dict[str, Any]]:
    """What ``LaterSteps`` says of a script with this loop after eight steps."""
    from nanocheck.observe.later.evidence import LaterSteps

    file = f"/made-up/script-{abs(hash(text))}.py"
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    later, steps, found = LaterSteps((str(Path(__file__).parent),)), [], []

    def work(_: int) -> None:
        if len(steps) == 8:
            found.extend(later.findings())
            raise _StoppedError

    def step() -> None:
        steps.append(None)
        later.optimizer_stepped()

    with open("/dev/null", "w") as nowhere:  # noqa: PTH123
        things = {"work": work, "step": step, "big": lambda: None, "nowhere": nowhere}
        with contextlib.suppress(_StoppedError):
            exec(compile(text, file, "exec"), {"__name__": "made_up", **things})
    return [{**each.entry(), "where": each.line} for each in found]


class _Thing:
    pass


def _frees_what_it_has_looked_at() -> bool:
    from nanocheck.observe.frame_variables import variables

    thing = _Thing()
    reference = weakref.ref(thing)
    seen = variables(sys._getframe())
    looked = any(value is thing for _, value in seen)
    del seen, thing
    return looked and reference() is None


if __name__ == "__main__":
    main()
