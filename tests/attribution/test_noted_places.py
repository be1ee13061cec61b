"""A note names a place as the tables beside it do: from the command's folder on."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import DEVICE
from made_up_journal import made_up_journal

from nanocheck.attribution.command_result import command_result
from nanocheck.attribution.event_reader import read
from nanocheck.core.result import Ending, How


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ("/home/somebody/pkg/train.py:72", "pkg/train.py:72"),
        ("/lib/python3.11/site-packages/trl/x.py:5", "trl/x.py:5"),
        ("/elsewhere/y.py:7", "/elsewhere/y.py:7"),
        ("<string>:1", "<string>:1"),
        ("unknown", "unknown"),
    ],
)
def test_where_a_value_was_read_that_nobody_computed(tmp_path: Path, file: str, shown: str) -> None:
    facts = (
        f'"placeholders": 2, "first_placeholder": "{file}", "sizes": "worst", "unknown_sizes": 3, '
        f'"first_unknown_size": "{file}"'
    )
    (tmp_path / "1-a.jsonl").write_bytes(made_up_journal().replace(b'"placeholders": 0', facts.encode()))
    ending = Ending(how=How.FINISHED, exit_code=0)
    found = command_result(tmp_path, read(tmp_path), command=["x"], device=DEVICE, ending=ending, seconds=1.0)
    (note,) = [each for each in found.notes if "placeholder values" in each]
    assert f"2 reads, first at {shown};" in note
    assert f"3 sizes hang on such values, first at {shown}, and" in note
