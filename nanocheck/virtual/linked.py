"""Where the loader finds the libraries that an installed torch links: asked of the loader itself.

Wheels, conda, NVIDIA's containers and Linux distributions put CUDA's libraries in folders of their own; run
paths, ``LD_LIBRARY_PATH`` and the system's cache decide between them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from nanocheck.core.errors import MachineError

_FOUND = re.compile(r"^\s+(\S+) => (?:(/.*) \(0x[0-9a-f]+\)|not found)$", re.MULTILINE)
_SECONDS = 60


def linked_libraries(
    objects: Iterable[Path], environment: Mapping[str, str] | None = None
) -> dict[str, Path | None]:
    """Each library that these shared objects need, directly or not, by the name they ask for.

    Nothing of them is executed.

    Args:
        objects: shared objects.
        environment: of the process that will load them; ours by default.

    Returns:
        The file, or None where the loader finds none.

    Raises:
        MachineError: the loader does not answer.
    """
    chosen = {name: value for name, value in (environment or os.environ).items() if name != "LD_PRELOAD"}
    found: dict[str, Path | None] = {}
    for each in objects:
        for name, path in _FOUND.findall(_list(each, chosen)):
            if path or name not in found:
                found[name] = Path(os.path.normpath(path)) if path else None
    return found


def _list(shared_object: Path, environment: Mapping[str, str]) -> str:
    try:
        # As ldd asks: with --list it says nothing at all where one library is missing, such as the driver's.
        return subprocess.run(
            [_loader(), str(shared_object)],
            env={**environment, "LD_TRACE_LOADED_OBJECTS": "1"},
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MachineError(
            f"the loader does not say what {shared_object.name} is linked with: {error}"
        ) from error


def _loader() -> str:
    """The program that loads this interpreter; torch's wheels want the same one, glibc's."""
    try:
        with Path(sys.executable).open("rb") as file:
            for segment in ELFFile(file).iter_segments("PT_INTERP"):
                if isinstance(segment, InterpSegment):
                    return str(segment.get_interp_name())
    except (OSError, ELFError) as error:
        raise MachineError(f"cannot read how {sys.executable} is loaded: {error}") from error
    raise MachineError(f"expected a dynamically linked Python, found {sys.executable}")
