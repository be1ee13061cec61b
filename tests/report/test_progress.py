"""One line where somebody watches, nothing elsewhere."""

from __future__ import annotations

import io
import os

import pytest

from nanocheck.report import progress
from nanocheck.report.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: os.terminal_size((40, 24)))


def test_counts_ids_and_stages() -> None:
    stream = Terminal()
    show = Progress(stream, {})
    show(1, 3, [("small", "forward"), ("large", "build")])
    assert stream.getvalue() == "\r\x1b[K[1/3] small: forward, large: build"
    show.clear()
    show.clear()
    assert stream.getvalue().endswith("build\r\x1b[K")


@pytest.mark.parametrize(
    ("stream", "environment"),
    [(io.StringIO(), {}), (Terminal(), {"CI": "true"}), (Terminal(), {"TERM": "dumb"})],
)
def test_quiet_where_nobody_watches(stream: io.StringIO, environment: dict[str, str]) -> None:
    show = Progress(stream, environment)
    show(1, 3, [("small", "forward")])
    show.clear()
    assert stream.getvalue() == ""


def test_never_wider_than_the_terminal_nor_more_than_one_line() -> None:
    stream = Terminal()
    Progress(stream, {})(1, 3, [("x\n\x1b[31m" * 30, "forward")])
    drawn = stream.getvalue().removeprefix("\r\x1b[K")
    assert len(drawn) == 39
    assert drawn.endswith("...")
    assert drawn.isprintable()


def test_redrawn_seldom_but_always_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 1000.0)
    stream = Terminal()
    show = Progress(stream, {})
    for done in range(4):
        show(done, 3, [])
    assert stream.getvalue() == "\r\x1b[K[0/3] \r\x1b[K[3/3] "
