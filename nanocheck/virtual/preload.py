"""Whether the loader takes the virtual GPU at all: asked of a process, before a program is started."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

from nanocheck.core.errors import MachineError

_ASK = "import ctypes; ctypes.CDLL(None).nanocheck_virtual_version"
_SECONDS = 60


def check(variables: dict[str, str]) -> None:
    """Start a process with these variables and look for the library in it.

    The loader only warns about what it cannot preload, and the program then runs on the real card, if there
    is one: a folder mounted ``noexec``, or a library of another machine, would go unnoticed.

    Raises:
        MachineError: it is not there.
    """
    _check(tuple(sorted(variables.items())))


@functools.cache
def _check(variables: tuple[tuple[str, str], ...]) -> None:
    asked = subprocess.run(
        [sys.executable, "-I", "-S", "-c", _ASK],
        env={**os.environ, **dict(variables)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_SECONDS,
        check=False,
    )
    if asked.returncode:
        said = asked.stderr.strip()[-2000:] or f"exit code {asked.returncode}"
        raise MachineError(
            f"expected the virtual GPU in a process that preloads it, found none:\n{said}",
            hint="nanocheck doctor   # shows the cache folder, the compiler and the address space",
        )
