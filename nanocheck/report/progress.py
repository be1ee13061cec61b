"""One status line on a terminal; nothing where nobody watches (CI, pipes)."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TextIO

from rich.live import Live
from rich.text import Text

from nanocheck.report import console
from nanocheck.report.blocks import words

#: Redrawing more often only flickers.
_SECONDS_BETWEEN = 0.1
#: Columns that stay free: what a terminal shows for Ctrl-C must not begin a second line.
_SPARE = 3


class Progress:
    """Shows ``[12/100] 1:05 gpt2-576-b16: backward, ...``; an ``Observer`` for ``Pool``.

    The time is as of the last change: there is no thread that would draw in between, since processes are
    forked beside it.

    Args:
        stream: standard error by default.
        environment: ``os.environ`` by default; see ``console.is_watched``.
    """

    def __init__(self, stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._environment = environment
        self.visible = console.is_watched(self._stream, environment)
        self._began_at = time.monotonic()
        self._drawn_at = -_SECONDS_BETWEEN
        self._live: Live | None = None

    def __call__(self, done: int, total: int, running: Sequence[tuple[str, str]]) -> None:
        """Redraw the line, unless it was drawn just now.

        Args:
            done, total: finished and known runs.
            running: name and stage of each that runs now; none before the workers have started.
        """
        now = time.monotonic()
        if not self.visible or (now - self._drawn_at < _SECONDS_BETWEEN and done < total):
            return
        self._drawn_at = now
        names = ", ".join(f"{name}: {stage}" for name, stage in running)
        names = names or ("starting" if done < total else "")
        line = words(
            words(f"[{done}/{total}]", style="bold"),
            words(f" {_clock(now - self._began_at)} ", style="dim"),
            names,
        )
        room = console.columns(self._stream, self._environment) - _SPARE
        with self._terminal_may_go():
            if self._live is None:
                self._live = self._open()
            self._live.update(_cut(line, max(1, room)), refresh=True)

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        live, self._live = self._live, None
        if live is not None:
            with self._terminal_may_go():
                live.stop()

    def _open(self) -> Live:
        live = Live(
            console=console.live_console(self._stream, self._environment),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        live.start()
        return live

    @contextlib.contextmanager
    def _terminal_may_go(self) -> Iterator[None]:
        """A terminal that is gone (SIGHUP) must not cost the answer."""
        try:
            yield
        except (OSError, ValueError):
            self.visible = False


def _clock(seconds: float) -> str:
    """``1:05``, ``2:03:04``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _cut(line: Text, width: int) -> Text:
    """The line in so many columns."""
    if line.cell_len > width:
        line.truncate(max(0, width - 3), overflow="crop")
        line.append("..."[:width])
    line.no_wrap = True
    return line
