"""A table of any width: words wrap, numbers stay whole, columns stay under their names."""

from __future__ import annotations

import re
import string

from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.units import mib
from nanocheck.report.console import as_text
from nanocheck.report.terminal_table import table

WORD = st.text(string.ascii_letters + string.digits + "._/+-", min_size=1, max_size=30)
WORDS = st.lists(WORD, max_size=12).map(" ".join)
NUMBER = st.integers(0, 10**12).map(mib)
NAME = st.lists(WORD, min_size=1, max_size=3).map("+".join)


@st.composite
def made_up_rows(draw: st.DrawFn) -> list[dict[str, str]]:
    names = draw(st.lists(NAME, min_size=1, max_size=6, unique=True))
    cells = {"where": WORDS, "id": WORD} | dict.fromkeys(names, NUMBER)
    rows = draw(st.lists(st.fixed_dictionaries(cells), min_size=1, max_size=5))
    return [{name: row[name] for name in cells} for row in rows]


@given(made_up_rows(), st.integers(20, 200))
def test_every_number_is_whole_at_every_width(rows: list[dict[str, str]], width: int) -> None:
    text = as_text([table(rows, left=["where"], whole=["id"])], width)
    tokens = text.split()
    for row in rows:
        for name, cell in row.items():
            if name != "where":
                assert cell in tokens


@given(made_up_rows(), st.integers(100, 200))
def test_no_line_is_longer_than_the_terminal(rows: list[dict[str, str]], width: int) -> None:
    text = as_text([table(rows, left=["where"], whole=["id"])], width)
    assert max(map(len, text.splitlines())) <= width


@given(made_up_rows())
def test_with_room_every_row_is_one_line(rows: list[dict[str, str]]) -> None:
    lines = as_text([table(rows, left=["where"], whole=["id"])], 1000).splitlines()
    assert len(lines) == len(rows) + 2
    assert lines[0].split() == [word for name in rows[0] for word in name.split()]
    for row, line in zip(rows, lines[2:], strict=True):
        assert line.split() == [word for cell in row.values() for word in cell.split()]
    # Numbers end where the dashes under their names end.
    ends = [match.end() for match in re.finditer("-+", lines[1])]
    for name, end in list(zip(rows[0], ends, strict=True))[2:]:
        assert all(line[:end].endswith(row[name]) for row, line in zip(rows, lines[2:], strict=True))


def test_as_it_looks() -> None:
    rows = [
        {
            "MiB": "1,572.00",
            "largest": "logits and loss x 2",
            "where": "model.py:187  F.cross_entropy(logits)",
        },
        {"MiB": "24.00", "largest": "activations", "where": "?"},
    ]
    assert as_text([table(rows, left=["largest", "where"])], 50).splitlines() == [
        "     MiB  largest              where",
        "--------  -------------------  -------------------",
        "1,572.00  logits and loss x 2  model.py:187",
        "                               F.cross_entropy(",
        "                               logits)",
        "   24.00  activations          ?",
    ]


def test_columns_that_have_no_room_go_on_below_beside_the_first() -> None:
    names = ["eager", "eager+checkpoint-selective", "compile+expandable"]
    rows = [{"model": f"d{depth}", **dict.fromkeys(names, "12 (10,534.66)")} for depth in (12, 20)]
    assert as_text([table(rows)], 46).splitlines() == [
        "                                        eager+",
        "model           eager     checkpoint-selective",
        "-----  --------------  -----------------------",
        "  d12  12 (10,534.66)           12 (10,534.66)",
        "  d20  12 (10,534.66)           12 (10,534.66)",
        "",
        "model  compile+expandable",
        "-----  ------------------",
        "  d12      12 (10,534.66)",
        "  d20      12 (10,534.66)",
    ]


def test_a_table_that_just_fits_stays_in_one_part() -> None:
    """The space behind a word needs no room."""
    rows = [{"id": "a", "name": f"{'n' * 20} Workstation Edition", "figure": "1" * 15}]
    assert as_text([table(rows, left=["name"], whole=["id"])], 41).splitlines() == [
        "id  name                           figure",
        "--  --------------------  ---------------",
        "a   nnnnnnnnnnnnnnnnnnnn  111111111111111",
        "    Workstation Edition",
    ]


def test_no_rows_are_nothing() -> None:
    assert as_text([table([], left=["where"])]) == ""
