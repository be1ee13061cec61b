"""What a script's own source says that it does, so that what was not reached can be named.

Only the main file is read, and only calls that leave no doubt: ``something.eval()`` and ``torch.save(...)``.
What a library does for a script (a Trainer that evaluates) is not seen here.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

#: A script is read up to this size; a generated one of megabytes says nothing to anybody.
_LIMIT_BYTES = 1 << 20


def mentioned(command: Sequence[str], folder: str | None) -> dict[str, str]:
    """``eval`` and ``save``, as ``--cover`` calls them -> the first ``file:line`` that does it.

    Args:
        command: of a Python process, the interpreter first. folder: where it was started.
    """
    path = _main_file(command, Path(folder or "."))
    if path is None:
        return {}
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            return {}
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        name = _phase(node) if isinstance(node, ast.Call) else None
        if name is not None and isinstance(node, ast.Call):
            found[name] = min(found.get(name, node.lineno), node.lineno)
    return {name: f"{path.name}:{line}" for name, line in found.items()}


def _phase(call: ast.Call) -> str | None:
    function = call.func
    if not isinstance(function, ast.Attribute):
        return None
    if function.attr == "eval" and not call.args and not call.keywords:
        return "eval"
    if function.attr == "save" and isinstance(function.value, ast.Name) and function.value.id == "torch":
        return "save"
    return None


def _main_file(command: Sequence[str], folder: Path) -> Path | None:
    """``python train.py`` or ``python -m package.train``, options of Python's own before it."""
    words = list(command[1:])
    while words:
        word = words.pop(0)
        if word == "-m" and words:
            path = folder / Path(*words[0].split(".")).with_suffix(".py")
            return path if path.is_file() else None
        if word in ("-W", "-X") and words:
            words.pop(0)
        elif not word.startswith("-"):
            path = folder / word
            return path if path.is_file() else None
        elif word == "-c":
            return None
    return None
