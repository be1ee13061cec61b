"""Signals that end a command."""

from __future__ import annotations

import signal


def leave_in_order() -> None:
    """SIGTERM and SIGHUP, too, must end what runs and remove what is temporary."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, leave)
