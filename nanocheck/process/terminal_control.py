"""The terminal, if there is one: who reads it, and how to leave it as it was found."""

from __future__ import annotations

import contextlib
import os
import termios
from typing import Any


class Terminal:
    """The controlling terminal of this session.

    A command that shares our process group has the terminal as if it had been started alone: it may
    read it, Ctrl-C and Ctrl-Z reach it, a job-control shell stops and continues both of us.
    """

    def __init__(self) -> None:
        self.fd: int | None = None
        self._modes: list[Any] = []
        try:
            self.fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            self._modes = termios.tcgetattr(self.fd)
        except (OSError, termios.error):
            self.close()

    @property
    def is_there(self) -> bool:
        return self.fd is not None

    def restore(self) -> None:
        """Echo, line mode and the rest as before: a command that was killed could not do it itself."""
        with contextlib.suppress(OSError, termios.error):
            # In the background this would stop us (SIGTTOU), and the terminal is somebody else's then.
            if self.fd is not None and os.tcgetpgrp(self.fd) == os.getpgrp():
                termios.tcsetattr(self.fd, termios.TCSADRAIN, self._modes)

    def close(self) -> None:
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None
