"""Folders of runs: removed by their run, or by the next one where theirs was killed, and no other's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.process.scratch import Scratch, sweep

#: Makes one, says where it is, and waits; with a fork that outlives it where it is told so.
OWNER = """
import os, sys, time
from nanocheck.process.scratch import Scratch
scratch = Scratch("test")
if sys.argv[1] == "fork" and os.fork() == 0:
    time.sleep(60)
print(os.getpid(), scratch.path, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def owner(*words: str) -> tuple[subprocess.Popen[str], Path]:
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, *words], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().split()[1])


def test_it_is_private_and_goes_with_its_run(temporary: Path) -> None:
    scratch = Scratch("run")
    with scratch as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "deep").mkdir()
        (folder / "deep" / "file").write_text("")
        sweep()
        assert (folder / "deep" / "file").exists()
    assert list(temporary.iterdir()) == []
    scratch.remove()


def test_the_next_run_removes_it_once_its_process_is_gone_and_not_before() -> None:
    process, folder = owner("alone")
    with Scratch("run"):
        assert folder.exists()
    process.kill()
    process.wait()
    assert folder.exists()
    with Scratch("run"):
        assert not folder.exists()


def test_a_fork_of_its_process_keeps_it() -> None:
    """The worker behind a process that was killed still writes into it."""
    process, folder = owner("fork")
    process.kill()
    process.wait()
    sweep()
    assert folder.exists()
    os.killpg(process.pid, signal.SIGKILL)
    while folder.exists():  # until the fork has ended
        sweep()


def test_what_is_nobodys_of_ours_stays(temporary: Path) -> None:
    elsewhere = temporary / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / ".owner").write_text("")
    (temporary / "nanocheck-without-lock").mkdir()
    (temporary / "nanocheck-link").symlink_to(elsewhere)
    (temporary / "nanocheck-file").write_text("")
    odd = temporary / "nanocheck-odd"
    odd.mkdir()
    (odd / ".owner").symlink_to(elsewhere / ".owner")
    before = sorted(temporary.iterdir())
    sweep()
    assert sorted(temporary.iterdir()) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")
def test_another_users_folder_stays(temporary: Path) -> None:
    process, folder = owner("alone")
    process.kill()
    process.wait()
    os.chown(folder, 65534, 65534)
    sweep()
    assert folder.exists()
