"""Does the command run in the environment that nanocheck is installed in?

The virtual GPU is compiled for one installation of torch, and the observer must be importable there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from nanocheck.core.errors import RequestError

_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?")
#: pip's launcher where the path is too long for a ``#!`` line: ``'''exec' "/path/python" "$0" "$@"``.
_LONG_LAUNCHER = re.compile(rb"^'''exec' (.+) \"\$0\" \"\$@\"")
#: Finds both without importing either; -c puts the current folder first, a script puts its own.
_ASK = """
import json, sys
from importlib.util import find_spec
if sys.path[:1] == [""]: del sys.path[0]
found = {name: getattr(find_spec(name), "origin", None) for name in ("torch", "nanocheck")}
print(json.dumps({"prefix": sys.prefix, **found}))
"""
_SECONDS = 60


@dataclass(frozen=True)
class Installation:
    """What an interpreter would import.

    Attributes:
        interpreter, prefix: as it names itself.
        torch, nanocheck: the ``__init__.py`` it would import; None: it has none.
    """

    interpreter: str
    prefix: str
    torch: str | None
    nanocheck: str | None


def check_interpreter(program: str, command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Compare the command's torch with ours, where the command is a Python program.

    A shell script or another launcher is let through: which Python it will call cannot be known; the
    observer tells in that process.

    Raises:
        RequestError: another torch, none at all, or no nanocheck beside it.
    """
    interpreter = interpreter_of(program, environment)
    if interpreter is None or _is_ours(interpreter):
        return
    theirs, ours = _ask(interpreter, environment), _own()
    if theirs is None or (_same(theirs.torch, ours.torch) and theirs.nanocheck is not None):
        return
    again = f"{Path(interpreter).with_name('nanocheck')} run ... -- {shlex.join(command)}"
    rest = shlex.join([str(Path(sys.executable).with_name(Path(command[0]).name)), *command[1:]])
    install = f"{interpreter} -m pip install pytest-nanocheck, then {again}"
    raise RequestError(
        f"expected {command[0]} to be of the environment that nanocheck is in\n"
        f"  nanocheck: {ours.prefix} ({_torch(ours)})\n"
        f"  {command[0]}: {theirs.prefix} ({_torch(theirs)}), by {interpreter}",
        hint=again
        if theirs.nanocheck and theirs.torch
        else (install if theirs.torch else f"nanocheck run ... -- {rest}"),
    )


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


def _ask(interpreter: str, environment: Mapping[str, str]) -> Installation | None:
    """Ask in the user's environment, not the command's: nothing of ours may be loaded yet."""
    try:
        asked = subprocess.run(
            [interpreter, "-c", _ASK],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        answer = json.loads(asked.stdout)
        return Installation(interpreter, answer["prefix"], answer["torch"], answer["nanocheck"])
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None  # the command itself will say what is wrong with it


def _is_ours(interpreter: str) -> bool:
    """python3.11 of our own ``bin``; links out of a ``bin`` are not followed, they make it an environment."""
    one, other = Path(interpreter).absolute(), Path(sys.executable).absolute()
    return one.parent.resolve() == other.parent.resolve() and one.resolve() == other.resolve()


def _own() -> Installation:
    spec, own = find_spec("torch"), find_spec("nanocheck")
    return Installation(
        sys.executable, sys.prefix, spec.origin if spec else None, own.origin if own else None
    )


def _same(one: str | None, other: str | None) -> bool:
    return one is not None and other is not None and Path(one).resolve() == Path(other).resolve()


def _torch(installation: Installation) -> str:
    if installation.torch is None:
        return "no torch"
    version = Path(installation.torch).with_name("version.py")
    found = re.search(r"^__version__ = '(.*)'", version.read_text(), re.M) if version.is_file() else None
    return f"torch {found.group(1) if found else 'of an unknown version'}"
