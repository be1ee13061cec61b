"""Streams that are closed, full or left by their reader: no traceback, and the exit code of what was done."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_recordings import recorded, recording, trace, with_loss

from nanocheck.numerics import recording as recordings

#: As a shell closes and redirects them.
WAYS = (">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", "")


def verb(folder: Path, way: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = ["bash", "-c", f'exec "$@" {way}', "-", sys.executable, "-m", "nanocheck", *words]
    return subprocess.run(
        command, cwd=folder, env=dict(os.environ), capture_output=True, text=True, check=False
    )


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A folder with two recordings that differ."""
    (tmp_path / "a.json").write_text(recordings.dumps(recording()))
    other = recording(recorded(with_loss(trace(), 1, 1.0)))
    (tmp_path / "b.json").write_text(recordings.dumps(other))
    return tmp_path


@pytest.mark.parametrize("way", WAYS)
def test_the_exit_code_is_the_one_it_would_be(way: str, moved: Path) -> None:
    for words, code in (
        (("gpus", "rtx4070"), 0),
        (("gpus", "no-such-card"), 2),
        (("compare", "a.json", "b.json", "--md", "page.md"), 1),
    ):
        done = verb(moved, way, *words)
        assert "Traceback" not in done.stdout + done.stderr
        assert (words, done.returncode) == (words, code)
    assert (moved / "page.md").read_text().startswith("# ")


@pytest.mark.parametrize("way", [">&-", "2>&-", ">&- 2>&-", ""])
def test_a_command_keeps_its_exit_code_and_no_file_gets_its_words(way: str, tmp_path: Path) -> None:
    """A number that was free would have been the next file's: what the command prints must not be in it."""
    done = verb(tmp_path, way, "run", "--json", "answer.json", "--", "sh", "-c", "echo spoken; exit 7")
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 7
    found = json.loads((tmp_path / "answer.json").read_text())
    assert found["result"]["ending"] == {"how": "failed", "exit_code": 7}
    assert [each.name for each in tmp_path.iterdir()] == ["answer.json"]
    assert (done.stdout == "spoken\n") == (">&-" not in way.replace("2>&-", ""))


def test_a_full_disk_under_standard_output_is_named(moved: Path) -> None:
    for words in (("gpus",), ("gpus", "--json"), ("compare", "a.json", "b.json")):
        done = verb(moved, ">/dev/full", *words)
        assert done.returncode == 3
        assert "expected to write to standard output, found: No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
