"""SIGKILL, which nobody can catch: nothing that the command started goes on, and no folder is left behind.

Of the process that people see, of the worker behind it, at moments from the first to the last: twelve kills
of each kind of command.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from launching import Launched
from paths import HELPERS

from nanocheck.process import process_tree, scratch

#: What is typed after ``--``. Each leaves more than one process, and all but the first a grandchild.
KINDS = {
    "direct": ("sleep", "999"),
    "shell": ("bash", "-c", "sleep 998; sleep 999"),
    "shell that ignores being asked": ("bash", "-c", "trap '' TERM INT HUP; sleep 998; sleep 999"),
    "launcher of several ranks": (
        "bash",
        "-c",
        "for rank in 0 1 2; do setsid bash -c 'sleep 998; sleep 999' & done; wait",
    ),
}
#: Seconds after the command has begun; the last kill comes when everything runs.
MOMENTS = (0.0, 0.001, 0.005, 0.02, 0.1, 0.4)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", None)  # asked once, and kept
    return folder


def gone(run: Launched) -> list[int]:
    """Wait for everything of a run to be gone; what is not is ended, and given back."""
    deadline = time.monotonic() + 30
    while (left := run.alive()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return left


def worker_of(pid: int) -> int:
    """The process behind the one in front."""
    return next(each.pid for each in process_tree.descendants(pid) if each.parent == pid)


def runs(folder: Path, kind: str) -> Iterator[Launched]:
    """Each at its moment; they run beside each other."""
    for number, moment in enumerate(MOMENTS):
        own = folder / f"{number}"
        own.mkdir()
        command = ("bash", "-c", 'touch began; exec "$@"', "-", *KINDS[kind])
        run = Launched(own, "", command=command, scratch=True)
        while not (own / "began").exists():
            time.sleep(0.001)
        time.sleep(moment)
        yield run


@pytest.mark.parametrize("kind", KINDS)
def test_the_process_in_front_is_killed(tmp_path: Path, temporary: Path, kind: str) -> None:
    killed = []
    for run in runs(tmp_path, kind):
        run.process.kill()
        assert run.process.wait() == -signal.SIGKILL
        killed.append(run)
    assert [gone(run) for run in killed] == [[]] * len(MOMENTS)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_worker_behind_it_is_killed(tmp_path: Path, temporary: Path, kind: str) -> None:
    killed = []
    for run in runs(tmp_path, kind):
        os.kill(worker_of(run.process.pid), signal.SIGKILL)
        killed.append(run)
    for run in killed:
        ended = run.end()
        assert (ended["how"], ended["exit_code"]) == ("killed", 137)
        assert "was killed" in ended["notes"][-1]
    assert list(temporary.iterdir()) == []


#: As under observation, behind a shell that tells nobody and a fork that knows no more than its parent.
OBSERVED = """
    import os, sys, time
    from nanocheck.observe.abandonment import end_when_abandoned
    end_when_abandoned(os.getcwd())
    os.fork()
    open("began", "w").close()
    time.sleep(999)
"""


@pytest.mark.parametrize("way", ["its group", "both"])
def test_both_processes_are_killed_at_once(tmp_path: Path, way: str) -> None:
    """Nobody of ours is left to end anything: the kernel tells the observed processes."""
    killed = []
    for number, moment in enumerate(MOMENTS):
        own = tmp_path / f"{number}"
        own.mkdir()
        shell = f"trap '' TERM; setsid {sys.executable} script.py; true"
        run = Launched(own, OBSERVED, command=("bash", "-c", shell))
        while not (own / "began").exists():
            time.sleep(0.001)
        time.sleep(moment)
        worker = worker_of(run.process.pid)
        if way == "both":
            os.kill(worker, signal.SIGKILL)
            os.kill(run.process.pid, signal.SIGKILL)
        else:
            os.killpg(run.process.pid, signal.SIGKILL)
        run.process.wait()
        killed.append(run)
    assert [gone(run) for run in killed] == [[]] * len(MOMENTS)


def test_who_starts_when_nobody_is_left_ends_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "alive")
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OBSERVED)], cwd=tmp_path, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGTERM
    assert not (tmp_path / "began").exists()


def test_before_the_command_has_begun(tmp_path: Path, temporary: Path) -> None:
    killed = []
    for moment in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        run = Launched(tmp_path, "", command=KINDS["shell"], scratch=True)
        time.sleep(moment)
        run.process.kill()
        run.process.wait()
        killed.append(run)
    assert [gone(run) for run in killed] == [[]] * len(killed)
    # The one whose process was killed before it had a worker is removed by the next run.
    assert Launched(tmp_path, "", command=("true",), scratch=True).end()["how"] == "finished"
    assert list(temporary.iterdir()) == []


def test_a_pool_whose_parent_is_killed(tmp_path: Path, temporary: Path) -> None:
    """The server, its jobs and what these started: children, and one that left its session."""
    script = textwrap.dedent("""
        import sys
        from nanocheck.process.jobs import Job
        from nanocheck.process.pool import Pool
        if __name__ == "__main__":
            jobs = [
                Job(id="one", task="process_tasks:grandchild", payload={"then": "hang", "escape": each})
                for each in (False, True)
            ]
            with Pool(2, {"PYTHONPATH": sys.argv[1]}, []) as pool:
                list(pool.run(jobs))
    """)
    (tmp_path / "parent.py").write_text(script)
    killed = []
    for moment in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.2):
        run = Launched(
            tmp_path, "", bare=(sys.executable, "parent.py", str(HELPERS)), stderr=subprocess.DEVNULL
        )
        time.sleep(moment)
        run.process.kill()
        run.process.wait()
        killed.append(run)
    assert [gone(run) for run in killed] == [[]] * len(killed)
    scratch.sweep()
    assert list(temporary.iterdir()) == []
