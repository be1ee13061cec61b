"""``launch``: somebody's command keeps its streams, its terminal and its exit code, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from launching import Launched
from time_limits import ended_where_it_waits

from nanocheck.core.errors import RequestError
from nanocheck.process import stack_dump
from nanocheck.process.spawn import find_program


def test_an_exit_code_is_kept(tmp_path: Path) -> None:
    ended = Launched(tmp_path, "raise SystemExit(7)").end()
    assert (ended["how"], ended["exit_code"]) == ("failed", 7)


def test_success_is_finished(tmp_path: Path) -> None:
    ended = Launched(tmp_path, "pass").end()
    assert (ended["how"], ended["exit_code"], ended["notes"]) == ("finished", 0, [])


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_death_by_signal_is_told_as_a_shell_does(tmp_path: Path, number: signal.Signals) -> None:
    reset = "pass" if number == signal.SIGKILL else f"signal.signal({number:d}, signal.SIG_DFL)"
    script = f"import os, signal; {reset}; os.kill(os.getpid(), {number:d})"
    ended = Launched(tmp_path, script).end()
    assert (ended["how"], ended["exit_code"]) == ("killed", 128 + number)
    assert bool(ended["notes"]) == (number == signal.SIGKILL)


def test_it_sees_what_it_would_see_alone(tmp_path: Path) -> None:
    """Signals, the name it was called by, and a descriptor the shell handed down."""
    read, write = os.pipe()
    os.write(write, b"handed down")
    os.close(write)
    script = f"""
        import os, signal, sys
        signals = [int(n) for n in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
        lines = open("/proc/self/status").read().splitlines()
        ignored = int(next(line for line in lines if line.startswith("SigIgn")).split()[1], 16)
        print(signals, ignored >> (signal.SIGHUP - 1) & 1, sys.orig_argv[0], os.read({read}, 99).decode())
    """
    try:
        run = Launched(tmp_path, script, pass_fds=(read,))
        assert run.process.stdout is not None
        told = run.process.stdout.read().decode()
    finally:
        os.close(read)
    assert run.end()["how"] == "finished"
    assert told == f"[] 0 {sys.executable} handed down\n"


def test_a_broken_pipe_ends_it_quietly(tmp_path: Path) -> None:
    """Python ignores SIGPIPE for itself; a command must find it as the shell left it."""
    run = Launched(tmp_path, "", command=("sh", "-c", "yes"), stderr=subprocess.PIPE)
    assert run.process.stdout is not None
    assert run.process.stderr is not None
    run.process.stdout.readline()
    run.process.stdout.close()
    assert run.process.stderr.read() == b""
    assert run.end()["exit_code"] == 128 + signal.SIGPIPE


def test_a_hang_is_interrupted_and_says_where(tmp_path: Path) -> None:
    script = f"""
        import faulthandler, os, time
        faulthandler.register({stack_dump.SIGNAL}, file=open(f"stack-{{os.getpid()}}.txt", "w"))
        def wait_for_the_loss():
            try:
                open("there", "w").close()
                while True:
                    time.sleep(1)
            finally:
                open("cleaned", "w").write("up")
        wait_for_the_loss()
    """

    def run(limit: int) -> dict[str, Any]:
        for stack in tmp_path.glob("stack-*.txt"):
            stack.unlink()
        return Launched(tmp_path, script, limit=limit).end()

    ended = ended_where_it_waits(run, tmp_path / "there", 1)
    assert (ended["how"], ended["exit_code"]) == ("timeout", 124)
    (note,) = ended["notes"]
    assert note.endswith("script.py:8 in wait_for_the_loss")
    assert (tmp_path / "cleaned").read_text() == "up"


def test_whoever_is_interrupted_has_time_for_its_last_words(tmp_path: Path) -> None:
    script = """
        import time
        try:
            open("there", "w").close()
            time.sleep(999)
        finally:
            time.sleep(5)  # as to write down what was held, on a machine with other work
            open("said", "w").write("all")
    """

    def run(limit: int) -> dict[str, Any]:
        return Launched(tmp_path, script, limit=limit).end()

    assert ended_where_it_waits(run, tmp_path / "there", 1)["how"] == "timeout"
    assert (tmp_path / "said").read_text() == "all"


def test_a_process_that_does_not_catch_the_stack_signal_is_not_killed_by_it(tmp_path: Path) -> None:
    (tmp_path / f"stack-{os.getpid()}.txt").touch()
    from nanocheck.process.process_tree import Process

    stack_dump.ask(tmp_path, [Process(os.getpid(), 0, 0, "R")])  # this very test would die


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "Thread 0x01 (most recent call first):\n"
            '  File "/lib/python3.11/threading.py", line 9 in wait\n\n'
            "Current thread 0x02 (most recent call first):\n"
            '  File "/v/lib/python3.11/site-packages/torch/_tensor.py", line 5 in item\n'
            '  File "/home/me/train.py", line 3 in main\n'
            '  File "/home/me/train.py", line 8 in <module>\n',
            "/home/me/train.py:3 in main",
        ),
        (
            'Thread 0x1 (most recent call first):\n  File "/v/site-packages/a.py", line 1 in f',
            "/v/site-packages/a.py:1 in f",
        ),
        ("", None),
    ],
)
def test_the_innermost_line_of_the_scripts_own(text: str, place: str | None) -> None:
    assert stack_dump.innermost(text) == place


def test_an_answered_process_gets_time_to_end_itself(tmp_path: Path) -> None:
    script = """
        import os, time
        open(f"answered-{os.getpid()}", "w")
        time.sleep(1)
        open("checkpoint", "w").write("written")
    """
    ended = Launched(tmp_path, script).end()
    assert (ended["how"], ended["exit_code"]) == ("answered", 0)
    assert (tmp_path / "checkpoint").read_text() == "written"


def test_an_answered_process_that_goes_on_is_ended(tmp_path: Path) -> None:
    script = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(f"answered-{os.getpid()}", "w")
        while True:
            time.sleep(1)
    """
    ended = Launched(tmp_path, script, grace=0.5).end()
    assert (ended["how"], ended["exit_code"]) == ("answered", 137)


def test_an_unknown_command_and_one_that_is_no_program(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("pass")
    environment = {"PATH": "/usr/bin"}
    with pytest.raises(RequestError, match="no program 'nanotrain' on PATH"):
        find_program(["nanotrain"], environment)
    with pytest.raises(RequestError, match=r"no program '\./nanotrain'\n"):
        find_program(["./nanotrain"], environment)
    with pytest.raises(RequestError, match=r"hint: nanocheck run -- python .*train.py --lr 1"):
        find_program([str(script), "--lr", "1"], environment)
    with pytest.raises(RequestError, match="expected a command, found none"):
        find_program([""], environment)


def test_a_file_the_kernel_does_not_execute(tmp_path: Path) -> None:
    file = tmp_path / "train.sh"
    file.write_text("echo no first line")
    file.chmod(0o755)
    run = Launched(tmp_path, "", command=(str(file),), stderr=subprocess.PIPE)
    assert run.process.stderr is not None
    assert "hint: name the program that reads it: nanocheck run -- bash" in run.process.stderr.read().decode()
    assert run.process.wait() == 1
    assert run.alive() == []
