"""A terminal for a program to write to, and what stands on its screen afterwards."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

#: Variables that decide about colour and width; what runs the tests must not.
DECIDING = ("NO_COLOR", "FORCE_COLOR", "CI", "TERM", "COLUMNS", "LINES", "PYTEST_VERSION")
_ORDERS = re.compile(r"\x1b\[(\??)([\d;]*)([A-Za-z])|(\r)|(\n)|(\x08)")
_PATIENCE_S = 120.0


def surroundings(**changes: str) -> dict[str, str]:
    """This process's environment without the variables that decide, then with these."""
    kept = {name: value for name, value in os.environ.items() if name not in DECIDING}
    return {**kept, "TERM": "xterm-256color", **changes}


def uncoloured(text: str) -> str:
    """The text without its colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


class Screen:
    """Lines of a terminal that is high enough; knows the orders that nanocheck may give and no others, and
    letters that are one column wide.

    Attributes:
        lines: as they stand there, without spaces at their ends.
        cursor: row and column, from 0.
        cursor_is_hidden: that a program left it so.
    """

    def __init__(self, columns: int = 80) -> None:
        self._columns = columns
        self._rows: list[str] = [""]
        self.cursor = (0, 0)
        self.cursor_is_hidden = False

    @property
    def lines(self) -> list[str]:
        return [row.rstrip() for row in self._rows]

    def show(self, text: str) -> Screen:
        """Obey a program's output.

        Raises:
            AssertionError: an escape sequence or control character that nanocheck has no reason to write.
        """
        at = 0
        for order in _ORDERS.finditer(text):
            self._write(text[at : order.start()])
            self._obey(order)
            at = order.end()
        self._write(text[at:])
        return self

    def _write(self, text: str) -> None:
        assert text.isprintable(), f"not printable: {text!r}"
        for letter in text:
            row, column = self.cursor
            if column == self._columns:
                row, column = row + 1, 0
            self._rows += [""] * (row + 1 - len(self._rows))
            line = self._rows[row].ljust(column)
            self._rows[row] = line[:column] + letter + line[column + 1 :]
            self.cursor = (row, column + 1)

    def _obey(self, order: re.Match[str]) -> None:
        private, number, letter, carriage_return, new_line, backspace = order.groups()
        row, column = self.cursor
        if carriage_return:
            self.cursor = (row, 0)
        elif new_line:
            self.cursor = (row + 1, 0)  # a terminal's driver adds the carriage return
            self._rows += [""] * (row + 2 - len(self._rows))
        elif backspace:
            self.cursor = (row, max(0, column - 1))
        elif private:
            assert (number, letter) in (("25", "l"), ("25", "h")), order[0]
            self.cursor_is_hidden = letter == "l"
        elif letter == "A":
            self.cursor = (max(0, row - int(number or 1)), column)
        elif letter == "K":
            assert number in ("2", ""), order[0]
            self._rows[row] = "" if number else self._rows[row][:column]
        else:
            assert letter == "m", order[0]


def in_terminal(
    command: Sequence[str],
    *,
    columns: int = 80,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    typed: Callable[[str], str] = lambda _: "",
    **options: Any,
) -> tuple[int, str]:
    """Exit code and everything that a command wrote to a terminal of its own.

    Args:
        environment: ``surroundings()`` by default.
        typed: gets what was written so far, and says what to type now.
        options: of ``subprocess.Popen``, such as ``stdout`` for a command whose output goes elsewhere.
    """
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        command,
        env=surroundings() if environment is None else dict(environment),
        cwd=cwd,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(slave, termios.TIOCSCTTY, 0),
        **{"stdin": slave, "stdout": slave, "stderr": slave, **options},
    )
    os.close(slave)
    written = b""
    deadline = time.monotonic() + _PATIENCE_S
    try:
        while time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    chunk = os.read(master, 1 << 16)
                except OSError:  # nobody holds the other end any more
                    break
                written += chunk
            answer = typed(written.decode(errors="replace"))
            if answer:
                os.write(master, answer.encode())
        return process.wait(10), written.decode()
    finally:
        process.kill()
        os.close(master)
