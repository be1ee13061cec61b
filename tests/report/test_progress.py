"""One line where somebody watches, nothing elsewhere; and nothing of it is left."""

from __future__ import annotations

import io
import sys
import threading
from pathlib import Path

import pytest
from rich.cells import cell_len
from terminals import Screen, in_terminal, uncoloured

from nanocheck.report import progress
from nanocheck.report.progress import Progress

NARROW = {"COLUMNS": "40"}

#: Draws until it is interrupted, and prints to stdout in between, as a script would.
WAITING = """
import time
from nanocheck.report import progress as module
module._SECONDS_BETWEEN = 0.0
progress = module.Progress()
try:
    for done in range(1000):
        progress(done, 1000, [("gpt2-768-b16", "backward")])
        time.sleep(0.02)
finally:
    progress.clear()
    print("the last word", flush=True)
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 0.0)


def screen(stream: io.StringIO) -> Screen:
    return Screen(40).show(stream.getvalue())


def test_counts_time_ids_and_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    stream = Terminal()
    show = Progress(stream, NARROW)
    show(1, 3, [("small", "forward"), ("large", "build")])
    assert screen(stream).lines == ["[1/3] 0:00 small: forward, large: ..."]
    now += 3725
    show(2, 3, [("large", "build")])
    assert screen(stream).lines == ["[2/3] 1:02:05 large: build"]
    show.clear()
    show.clear()
    assert screen(stream).lines == ["", ""]
    assert screen(stream).cursor == (0, 0)


@pytest.mark.parametrize(
    ("stream", "environment"),
    [
        (io.StringIO(), {}),
        (io.StringIO(), {"FORCE_COLOR": "1"}),
        (Terminal(), {"CI": "true"}),
        (Terminal(), {"TERM": "dumb"}),
        (Terminal(), {"PYTEST_VERSION": "9.2.0"}),
    ],
)
def test_quiet_where_nobody_watches(stream: io.StringIO, environment: dict[str, str]) -> None:
    show = Progress(stream, environment)
    show(1, 3, [("small", "forward")])
    show.clear()
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("x\n\x1b[31m" * 30, "x \ufffd[31mx \ufffd[31mx"),
        ("\u202e\u6f22\u5b57" * 30, "\ufffd\u6f22\u5b57\ufffd"),
        ("[red]:smile:[/red]" * 9, "[red]:smile:[/red]"),
    ],
    ids=["escape", "bidi", "markup"],
)
def test_never_wider_than_the_terminal_nor_more_than_one_line(name: str, shown: str) -> None:
    stream = Terminal()
    Progress(stream, NARROW | {"NO_COLOR": "1"})(1, 3, [(name, "forward")])
    drawn = stream.getvalue()
    assert drawn.isprintable()
    assert drawn.startswith(f"[1/3] 0:00 {shown}")
    assert drawn.endswith("...")
    assert cell_len(drawn + "^C") < 40  # which the terminal's own driver adds


def test_redrawn_seldom_but_always_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN", 1000.0)
    stream = Terminal()
    show = Progress(stream, NARROW | {"NO_COLOR": "1"})
    for done in range(4):
        show(done, 3, [])
    assert [line for line in stream.getvalue().split("\r") if "/3]" in line] == [
        "[0/3] 0:00 starting",
        "\x1b[2K[3/3] 0:00 ",
    ]


def test_a_terminal_that_is_gone_costs_nothing() -> None:
    class Gone(Terminal):
        gone = False

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "Input/output error")
            return super().write(text)

    stream = Gone()
    show = Progress(stream, NARROW)
    show(1, 3, [])
    stream.gone = True
    show(2, 3, [])
    show(3, 3, [])
    show.clear()


def test_no_thread_is_started_and_the_streams_stay_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    before = (sys.stdout, sys.stderr)
    show = Progress(Terminal(), NARROW)
    show(1, 3, [("small", "forward")])
    assert (sys.stdout, sys.stderr) == before
    assert started == []
    show.clear()


def test_ctrl_c_leaves_nothing_of_it_and_the_cursor_visible() -> None:
    asked = []

    def typed(so_far: str) -> str:
        if "[5/1000]" not in so_far or asked:
            return ""
        asked.append(True)
        return "\x03"

    code, written = in_terminal([sys.executable, "-c", WAITING], columns=60, typed=typed)
    assert code != 0
    found = Screen(60).show(written)
    assert "[5/1000] 0:00 gpt2-768-b16: backward" in uncoloured(written)
    assert found.lines[0] == "the last word"
    assert not any("/1000]" in line or "^C" in line for line in found.lines)
    assert not found.cursor_is_hidden


def test_nothing_of_it_is_on_stdout(tmp_path: Path) -> None:
    with (tmp_path / "out").open("wb") as out:
        code, written = in_terminal([sys.executable, "-c", WAITING.replace("1000", "9")], stdout=out)
    assert code == 0
    assert (tmp_path / "out").read_bytes() == b"the last word\n"
    assert "[8/9]" in written
    assert Screen().show(written).lines == ["", ""]
