"""The journal of one process: JSON lines, appended, so that whatever was written survives any death."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

SCHEMA = 1


class Journal:
    """Creates its file at the first line."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd: int | None = None
        self._stacks: dict[tuple[Any, ...], int] = {}

    def write(self, kind: str, **fields: Any) -> None:
        """One line. A folder that is gone or full costs the journal, never the script."""
        try:
            if self._fd is None:
                path = Path(self._folder) / f"{os.getpid()}-{secrets.token_hex(4)}.jsonl"
                self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            line = memoryview(json.dumps({"kind": kind, **fields}, default=str).encode() + b"\n")
            while line:
                line = line[os.write(self._fd, line) :]
        except OSError:
            self._fd = os.open(os.devnull, os.O_WRONLY)

    def stack(self, frames: tuple[tuple[str, int, str], ...]) -> int:
        """The number of a stack, innermost frame first; told once."""
        number = self._stacks.get(frames)
        if number is None:
            number = self._stacks[frames] = len(self._stacks)
            self.write("stack", id=number, frames=frames)
        return number
