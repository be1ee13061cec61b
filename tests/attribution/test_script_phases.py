"""A script's own source says whether it evaluates and saves."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.attribution.script_phases import mentioned

SCRIPT = """
import torch
def check(model):
    model.eval()
    model.eval()
for step in range(9):
    pass
if step == 8:
    torch.save({}, "x.pt")
"""


@pytest.mark.parametrize(
    "command",
    [
        ("python", "a/train.py"),
        ("python", "-u", "-X", "dev", "a/train.py", "--x"),
        ("python", "-m", "a.train"),
    ],
)
def test_the_first_line_of_each_is_named(command: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train.py").write_text(SCRIPT)
    assert mentioned(command, str(tmp_path)) == {"eval": "train.py:4", "save": "train.py:9"}


@pytest.mark.parametrize(
    "text",
    ["", "eval('1')", "x.evaluate()", "frame.eval('a+b')", "numpy.save('x', 1)", "# model.eval()", "def"],
)
def test_what_leaves_doubt_is_not_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(text)
    assert mentioned(("python", "x.py"), str(tmp_path)) == {}


@given(command=st.lists(st.text(max_size=8), max_size=5))
def test_no_command_breaks_it(command: list[str]) -> None:
    assert mentioned(command, "/nowhere") == {}
