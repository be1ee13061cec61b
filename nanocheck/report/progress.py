"""One status line on a terminal; nothing where nobody watches (CI, pipes)."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TextIO

#: Redrawing more often only flickers.
_SECONDS_BETWEEN = 0.1


class Progress:
    """Shows ``[12/100] gpt2-576-b16: backward, ...``; an ``Observer`` for ``Pool``.

    Args:
        stream: standard error by default.
        environment: ``os.environ`` by default; a non-empty ``CI`` means quiet.
    """

    def __init__(self, stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        env = os.environ if environment is None else environment
        self.visible = self._stream.isatty() and not env.get("CI") and env.get("TERM") != "dumb"
        self._drawn_at = -_SECONDS_BETWEEN
        self._drawn = False

    def __call__(self, done: int, total: int, running: Sequence[tuple[str, str]]) -> None:
        """Redraw the line, unless it was drawn just now."""
        now = time.monotonic()
        if not self.visible or (now - self._drawn_at < _SECONDS_BETWEEN and done < total):
            return
        self._drawn_at = now
        names = ", ".join(f"{name}: {stage}" for name, stage in running)
        text = _printable(f"[{done}/{total}] {names}")
        width = max(1, shutil.get_terminal_size().columns - 1)
        if len(text) > width:
            text = text[: max(0, width - 3)] + "..."
        self._write(f"\r\x1b[K{text}")
        self._drawn = True

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        if self._drawn:
            self._write("\r\x1b[K")
            self._drawn = False

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
