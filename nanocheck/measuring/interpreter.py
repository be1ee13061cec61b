"""Is the command a Python of the environment that nanocheck is installed in?

Then its torch is known before it starts. Any other finds its own: see ``observe/relaunch.py``.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?")
#: pip's launcher where the path is too long for a ``#!`` line: ``'''exec' "/path/python" "$0" "$@"``.
_LONG_LAUNCHER = re.compile(rb"^'''exec' (.+) \"\$0\" \"\$@\"")


def is_ours(program: str, environment: Mapping[str, str]) -> bool:
    """Whether this program is our own Python, or a script that it executes."""
    interpreter = interpreter_of(program, environment)
    return interpreter is not None and _same_environment(interpreter, sys.executable)


def interpreter_of(program: str, environment: Mapping[str, str]) -> str | None:
    """The Python that executes a program: itself, or by its first lines; None where it is no Python."""
    if _PYTHON.fullmatch(Path(program).name):
        return program
    try:
        with Path(program).open("rb") as file:
            first, second = file.readline(4096), file.readline(4096)
    except OSError:
        return None
    if not first.startswith(b"#!"):
        return None
    launcher = _LONG_LAUNCHER.match(second)
    words = shlex.split(os.fsdecode(launcher.group(1) if launcher else first[2:]))
    if words and Path(words[0]).name == "env":
        named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
        words = [_which(named[0], environment)] if named else []
    return words[0] if words and _PYTHON.fullmatch(Path(words[0]).name) else None


def _which(name: str, environment: Mapping[str, str]) -> str:
    return shutil.which(name, path=environment.get("PATH")) or name


def _same_environment(one: str, other: str) -> bool:
    """python3.11 of one ``bin``; links out of a ``bin`` are not followed, they make it an environment."""
    first, second = Path(one).absolute(), Path(other).absolute()
    return first.parent.resolve() == second.parent.resolve() and first.resolve() == second.resolve()
