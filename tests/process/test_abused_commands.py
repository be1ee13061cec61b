"""Scripts that misbehave: nothing is left running, and how they ended is told rightly."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from launching import Launched
from paths import HELPERS
from time_limits import ended_where_it_waits

#: A process that left its parent, its session and its group, and ignores what can be ignored.
DAEMON = """
    import os, signal, sys, time
    def daemon():
        if os.fork():
            os.wait()
            return
        os.setsid()
        if os.fork():
            os._exit(0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        open("daemon", "w").write(str(os.getpid()))
        while True:
            time.sleep(1)
    daemon()
    while not os.path.exists("daemon") or not open("daemon").read():
        time.sleep(0.01)
"""


def test_daemons_are_ended_with_the_script(tmp_path: Path) -> None:
    assert Launched(tmp_path, DAEMON).end()["how"] == "finished"


def test_grandchildren_and_their_daemons_are_ended_at_the_time_limit(tmp_path: Path) -> None:
    (tmp_path / "inner.py").write_text(f"{textwrap.dedent(DAEMON)}\ntime.sleep(999)")
    script = """
        import multiprocessing, subprocess, sys, time
        if __name__ == "__main__":
            multiprocessing.set_start_method("forkserver")
            multiprocessing.Process(target=time.sleep, args=(999,)).start()
            multiprocessing.get_context("spawn").Process(target=time.sleep, args=(999,), daemon=True).start()
            subprocess.Popen([sys.executable, "inner.py"], start_new_session=True)
            time.sleep(999)
    """
    there = tmp_path / "daemon"

    def run(limit: int) -> tuple[int, str]:
        running = Launched(tmp_path, script, limit=limit)
        while not there.exists() and running.process.poll() is None:
            time.sleep(0.02)
        return len(running.alive()), running.end()["how"]

    alive, how = ended_where_it_waits(run, there, 4)
    assert alive >= 6  # driver, script, fork server, two children, the inner script, its daemon
    assert how == "timeout"


def test_a_script_that_forks_faster_than_anybody_looks(tmp_path: Path) -> None:
    """Each process starts its successor and leaves; a dozen such chains at once."""
    script = """
        import os, signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for _ in range(12):
            if os.fork() == 0:
                os.setsid()
                # Bounded, so that a launcher that fails this test does not leave a storm behind.
                end = time.monotonic() + 20
                while time.monotonic() < end:
                    if os.fork():
                        os._exit(0)
                    os.utime("beat")
                    time.sleep(0.001)
                os._exit(0)
        time.sleep(0.3)
    """
    beat = tmp_path / "beat"
    beat.touch()
    ended = Launched(tmp_path, script).end()
    assert (ended["how"], ended["notes"]) == ("finished", [])
    last = beat.stat().st_mtime_ns
    time.sleep(1)
    assert beat.stat().st_mtime_ns == last


@pytest.mark.parametrize(
    ("script", "how", "code"),
    [
        ("import os; os._exit(5)", "failed", 5),
        ("import os; os.chdir('/'); raise SystemExit(0)", "finished", 0),
        ("import os; os.abort()", "killed", 134),
        ("1 / 0", "failed", 1),
        ("import sys; sys.stdout.close(); sys.stderr.close(); import os; os.close(0)", "finished", 0),
        ("import ctypes; ctypes.string_at(0)", "killed", 139),
        ("import os; os.killpg(0, 15)", "killed", 143),
    ],
)
def test_odd_ends(tmp_path: Path, script: str, how: str, code: int) -> None:
    ended = Launched(tmp_path, script, stderr=subprocess.DEVNULL).end()
    assert (ended["how"], ended["exit_code"]) == (how, code)


def test_it_reads_stdin_from_a_pipe(tmp_path: Path) -> None:
    run = Launched(tmp_path, "import sys; print(len(sys.stdin.buffer.read()))", stdin=subprocess.PIPE)
    out, _ = run.process.communicate(b"x" * 300_000)
    assert out == b"300000\n"
    assert run.end()["how"] == "finished"


def test_a_gigabyte_of_output_passes_by(tmp_path: Path) -> None:
    """It goes from the script to its reader; the parent's memory does not see it."""
    script = """
        import os
        block = b"x" * (1 << 20)
        for _ in range(1024):
            os.write(1, block)
    """
    run = Launched(tmp_path, script, stdout=subprocess.DEVNULL)
    assert run.end()["how"] == "finished"
    piped = Launched(tmp_path, script)
    assert piped.process.stdout is not None
    size, most_kib = 0, 0
    while chunk := piped.process.stdout.read(1 << 20):
        size += len(chunk)
        most_kib = max(most_kib, high_water_kib(piped.process.pid))
    assert size == 1 << 30
    assert piped.process.wait() == 0
    assert 0 < most_kib < 200 << 10


def high_water_kib(pid: int) -> int:
    """Since its exec; ``ru_maxrss`` also counts what the forking test runner had, and that may be a GiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_us_alone_is_passed_on_once(tmp_path: Path, number: signal.Signals) -> None:
    script = f"""
        import signal, time
        seen = []
        signal.signal({number:d}, lambda *_: seen.append(1))
        open("ready", "w").write("yes")
        while not seen:
            time.sleep(0.01)
        time.sleep(1)
        print(len(seen))
        raise SystemExit(3)
    """
    run = Launched(tmp_path, script, limit=60)
    run.wait_for("ready")
    run.process.send_signal(number)
    out, _ = run.process.communicate()
    ended = run.end()
    assert out == b"1\n"
    assert (ended["how"], ended["exit_code"]) == ("interrupted", 128 + number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_our_whole_group_is_passed_on_once(tmp_path: Path, number: signal.Signals) -> None:
    """It reaches the process in front and the worker, and one of them hears of it from the other, too."""
    script = """
        import os, signal, time
        seen = []
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: seen.append(1))
        open("ready", "w").write("yes")
        while not seen:
            time.sleep(0.01)
        time.sleep(1.5)
        print(len(seen))
        raise SystemExit(3)
    """
    run = Launched(tmp_path, script, limit=60)
    run.wait_for("ready")
    os.killpg(run.process.pid, number)  # the command has a group of its own
    out, _ = run.process.communicate()
    ended = run.end()
    assert out == b"1\n"
    assert (ended["how"], ended["exit_code"]) == ("interrupted", 128 + number)


def test_a_signal_that_arrives_with_the_end_is_an_interruption(tmp_path: Path) -> None:
    script = "import os, signal; os.kill(os.getppid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGKILL)"
    ended = Launched(tmp_path, script).end()
    assert (ended["how"], ended["exit_code"]) == ("interrupted", 130)


def test_whoever_ignores_being_asked_is_ended(tmp_path: Path) -> None:
    script = """
        import signal, time
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        open("ready", "w").write("yes")
        while True:
            time.sleep(1)
    """
    run = Launched(tmp_path, script, grace=0.2)
    run.wait_for("ready")
    run.process.send_signal(signal.SIGINT)
    assert run.end()["how"] == "interrupted"


def test_what_was_ignored_at_the_start_stays_ignored(tmp_path: Path) -> None:
    """As under nohup."""
    script = """
        import os, signal, time
        os.kill(os.getppid(), signal.SIGHUP)
        time.sleep(0.5)
        print(signal.getsignal(signal.SIGHUP) == signal.SIG_IGN)
    """
    run = Launched(tmp_path, script, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    out, _ = run.process.communicate()
    assert out == b"True\n"
    assert run.end()["how"] == "finished"


def test_if_we_are_killed_outright_the_script_is_told(tmp_path: Path) -> None:
    run = Launched(tmp_path, "open('ready', 'w').write('yes'); import time; time.sleep(999)")
    run.wait_for("ready")
    run.process.kill()
    run.process.wait()
    deadline = time.monotonic() + 30
    while (left := run.alive()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []


# -- with a real terminal ---------------------------------------------------------------------------


def test_ctrl_c_reaches_the_script_once(tmp_path: Path) -> None:
    script = """
        import time
        try:
            open("ready", "w").write("yes")
            time.sleep(999)
        except KeyboardInterrupt:
            time.sleep(2)  # a second one would end this early
            open("saved", "w").write("whole")
    """
    run = Launched(tmp_path, script, terminal=True)
    run.wait_for("ready")
    run.type("\x03")
    ended = run.end()
    assert (ended["how"], ended["exit_code"]) == ("interrupted", 130)
    assert (tmp_path / "saved").read_text() == "whole"


def test_ctrl_c_that_ends_the_script_at_once_is_an_interruption(tmp_path: Path) -> None:
    script = (
        "import signal, time; signal.signal(2, signal.SIG_DFL); open('ready', 'w').write('y'); time.sleep(99)"
    )
    run = Launched(tmp_path, script, terminal=True)
    run.wait_for("ready")
    run.type("\x03")
    assert run.end()["how"] == "interrupted"


def test_a_second_ctrl_c_loses_patience(tmp_path: Path) -> None:
    script = """
        import signal, time
        signal.signal(signal.SIGINT, lambda *_: open("heard", "w").write("yes"))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open("ready", "w").write("yes")
        while True:
            time.sleep(1)
    """
    run = Launched(tmp_path, script, terminal=True, grace=600)
    run.wait_for("ready")
    for _ in range(4):  # noticed, patience mentioned, SIGTERM, SIGKILL
        run.type("\x03")
        time.sleep(0.3)
    assert run.end()["how"] == "interrupted"


def test_the_script_reads_the_terminal(tmp_path: Path) -> None:
    run = Launched(tmp_path, "print('you said', input('name? '))", terminal=True)
    run.shown("name? ")
    run.type("Ada\n")
    run.shown("you said Ada")
    assert run.end()["how"] == "finished"


def test_a_terminal_left_without_echo_is_restored(tmp_path: Path) -> None:
    import termios

    script = """
        import os, signal, termios, time, tty
        tty.setraw(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(f"answered-{os.getpid()}", "w").close()
        time.sleep(999)
    """
    run = Launched(tmp_path, script, terminal=True, grace=0.2)
    assert run.end()["how"] == "answered"
    assert termios.tcgetattr(run.master)[3] & termios.ECHO


def test_a_shell_stops_and_continues_it(tmp_path: Path) -> None:
    """Ctrl-Z, then fg, in a real interactive shell; the pause does not count against the limit."""
    (tmp_path / "job.py").write_text(
        "import time\nfor i in range(30):\n    print('tick', i)\n    time.sleep(0.1)\nprint('ov' + 'er')"
    )
    driver = HELPERS / "run_driver.py"
    line = f"{sys.executable} {driver} {tmp_path} 6 20 {sys.executable} -u job.py"
    shell = Launched(
        tmp_path, "", terminal=True, command=("bash", "--norc", "--noprofile", "-i")
    )  # its own session's terminal, and job control
    shell.type(line + "\n")
    shell.shown("tick 3")
    shell.type("\x1a")
    shell.shown("Stopped")
    time.sleep(7)
    shell.type("fg\n")
    shell.shown("over")
    shell.type("echo code $?\n")
    shell.shown("code 0")
    shell.type("exit\n")
    shell.process.wait(30)
    assert shell.alive() == []
