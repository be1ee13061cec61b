"""What a stream can show, and how it is written to."""

from __future__ import annotations

import fcntl
import io
import os
import struct
import sys
import termios

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from terminals import DECIDING, uncoloured

from nanocheck.core.result import Provenance
from nanocheck.core.verdict import Kind
from nanocheck.report import console
from nanocheck.report.blocks import prose, provenance, stack, verbatim, verdict
from nanocheck.report.terminal_table import table

HOSTILE = st.text(
    st.characters() | st.sampled_from("\x1b[]{}\u202e\u2066\u200b\r\n\t\x07\x9b:\\/\ufeff\ud800"), max_size=60
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream_type", "environment", "coloured"),
    [
        (Terminal, {}, True),
        (Terminal, {"TERM": "xterm", "NO_COLOR": "", "FORCE_COLOR": "", "CI": ""}, True),
        (Terminal, {"NO_COLOR": "1"}, False),
        (Terminal, {"TERM": "dumb"}, False),
        (Terminal, {"CI": "true"}, False),
        (Terminal, {"CI": "true", "FORCE_COLOR": "1"}, True),
        (Terminal, {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (Terminal, {"TTY_COMPATIBLE": "0"}, True),
        (io.StringIO, {}, False),
        (io.StringIO, {"FORCE_COLOR": "1"}, True),
        (io.StringIO, {"TTY_COMPATIBLE": "1", "COLORTERM": "truecolor"}, False),
    ],
)
def test_who_gets_colours(
    stream_type: type[io.StringIO],
    environment: dict[str, str],
    coloured: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (*DECIDING, "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = stream_type()
    console.show([verdict(Kind.OOM)], stream)
    assert stream.getvalue() == ("\x1b[1;31moom\x1b[0m\n" if coloured else "oom\n")


def test_the_width_is_what_columns_says_or_the_terminals_own() -> None:
    assert console.columns(io.StringIO(), {}) == 1000  # a pipe has no edge
    assert console.columns(io.StringIO(), {"COLUMNS": "60"}) == 60
    assert console.columns(io.StringIO(), {"COLUMNS": "many"}) == 1000
    assert console.columns(Terminal(), {}) == 80
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        for columns, expected in ((0, 80), (133, 133)):
            fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            assert console.columns(terminal, {}) == expected
    os.close(master)


def shown(*blocks: console.Block, width: int = 80) -> str:
    return console.as_text(blocks, width)


def coloured(block: console.Block, monkeypatch: pytest.MonkeyPatch) -> str:
    for name in DECIDING:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    stream = io.StringIO()
    console.show([block], stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (verdict(Kind.SAFE), "1;32"),
        (verdict(Kind.TIGHT), "1;33"),
        (verdict(Kind.OOM, "OOM"), "1;31"),
        (verdict(Kind.CRASHED), "1;35"),
        (verdict(Kind.NO_GPU), "1;35"),
        (provenance(Provenance.MEASURED), "1"),
        (provenance(Provenance.VIRTUAL), "36"),
        (prose("a heading", style="bold"), "1"),
    ],
)
def test_words_have_their_styles(text: console.Block, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert coloured(text, monkeypatch) == f"\x1b[{code}m{shown(text)}\x1b[0m\n"


def test_words_without_a_style_of_their_own_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """No number, path or quoted text is made to stand out."""
    line = "1,234.00 MiB at /tmp/x.py:12 'quoted' True None https://example.org [bold]x[/bold] :smile:"
    assert coloured(prose(line), monkeypatch) == line + "\n"
    assert coloured(provenance(Provenance.COMPUTED), monkeypatch) == "computed\n"


def test_colours_say_nothing_that_words_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"card": "t4", "verdict": verdict(kind), "MiB": "1.00"} for kind in Kind]
    block = stack(prose("here"), table(rows, whole=["card", "verdict"]))
    lines = uncoloured(coloured(block, monkeypatch)).splitlines()
    assert [line.rstrip() for line in lines] == shown(block).splitlines()


@given(HOSTILE, st.integers(20, 120))
@example("[red]x[/red] :smile: \\[y] {z}", 80)
@example("\x1b[2J\x1b]0;title\x07\x9b1m", 80)
@example("if user == '\u202e\u2066# admin\u2069 \u2066':", 80)
def test_whatever_a_script_says_is_shown_and_does_nothing(said: str, width: int) -> None:
    text = shown(
        prose("line: ", said, indent=2, hanging=2),
        verbatim(said),
        table([{"where": said, said: "1.00", "id": said}], left=["where"], whole=["id"]),
        width=width,
    )
    assert all(letter.isprintable() or letter == "\n" for letter in text)
    text.encode()
    visible = [letter for letter in said if letter.isprintable() and letter != " "]
    assert [letter for letter in shown(verbatim(said)) if letter not in " \ufffd"] == [
        letter for letter in visible if letter != "\ufffd"
    ]
    if "[red]" in said:
        assert text.count("[red]x[/red] :smile:") == 5


def test_prose_is_filled_but_long_words_stay_whole() -> None:
    path = "/a/" + "long" * 40 + ".py:12"
    lines = shown(prose("it is in", path, " of the script", indent=4, hanging=2), width=60).splitlines()
    assert all(line.startswith("    ") for line in lines)
    assert path in "".join(lines)
    assert max(map(len, shown(prose("word " * 100), width=400).splitlines())) <= 100
    assert max(map(len, shown(prose("word " * 100), width=72).splitlines())) <= 72
    assert shown(verbatim("  indented = " + "x" * 200, 4)) == "      indented = " + "x" * 200


def test_blocks_have_an_empty_line_between_them_and_empty_ones_are_left_out() -> None:
    assert shown(prose("a"), table([]), stack(prose("b"), prose("c")), stack()) == "a\n\nb\nc"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_stream_that_cannot_say_a_letter_says_another(encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding)
    console.show([prose("caf\u00e9 \u6f22 \x1b")], stream)
    expected = {"ascii": "caf? ? ?\n", "latin-1": "caf\u00e9 ? ?\n", "utf-8": "caf\u00e9 \u6f22 \ufffd\n"}
    assert raw.getvalue().decode(encoding) == expected[encoding]


def test_what_is_said_beside_a_script_never_fails_but_what_was_asked_for_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in DECIDING:
        monkeypatch.delenv(name, raising=False)
    console.say([prose("first", style="bold"), prose("second")])
    assert capsys.readouterr() == ("", "nanocheck: first\n\nsecond\n")
    console.say([stack(prose("first"), prose("second")), prose("third")])
    assert capsys.readouterr() == ("", "nanocheck: first\nsecond\n\nthird\n")
    console.say([table([{"MiB": "1.00"}])])
    assert capsys.readouterr() == ("", "nanocheck:\n MiB\n----\n1.00\n")

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    console.say([prose("first")])
    with pytest.raises(BrokenPipeError):
        console.show([prose("first")], Gone())
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    console.say([prose("first")])


def test_wide_letters_are_counted_as_wide() -> None:
    text = shown(
        table([{"name": "\u6f22\u5b57" * 3, "MiB": "1.00"}, {"name": "x", "MiB": "10.00"}], left=["name"])
    )
    assert {cell_len(line) for line in text.splitlines()} == {19}
