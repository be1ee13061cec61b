"""Files are written whole, and what is no file stays what it is."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from nanocheck.core.files import write_atomically


def test_what_is_no_file_is_written_to_and_stays(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_atomically(pipe, "a line\n")
        assert os.read(read, 100) == b"a line\n"
    finally:
        os.close(read)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]
