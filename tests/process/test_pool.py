"""Several jobs at once, servers that die, and runs that are interrupted."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from paths import HELPERS
from process_tasks import descriptors, open_pool, wait_until_gone

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.process.jobs import Deadlines, Job
from nanocheck.process.pool import MAX_SERVER_DEATHS


def echo(value: Any) -> Job:
    return Job(id=str(value), task="process_tasks:echo", payload=value)


def slow(seconds: float) -> Job:
    return Job(id="slow", task="process_tasks:stages", payload=[["slow", seconds]])


def test_results_come_as_they_finish() -> None:
    with open_pool(workers=2) as pool:
        order = [result.id for result in pool.run([slow(0.5), echo(1), echo(2)])]
    assert order == ["1", "2", "slow"]


def test_everything_is_submitted_at_once_and_waited_for_in_any_order() -> None:
    with open_pool(workers=2) as pool:
        handles = [pool.submit(echo(value)) for value in range(12)]
        assert not any(handle.done for handle in handles)
        for value in reversed(range(12)):
            assert handles[value].result().value == value
        assert handles[3].result() is handles[3].result()


def test_never_more_children_than_workers() -> None:
    most = 0

    def observe(done: int, total: int, running: Any) -> None:
        nonlocal most
        most = max(most, len(running))

    with open_pool(workers=3, observer=observe) as pool:
        assert len(list(pool.run([slow(0.02) for _ in range(10)]))) == 10
    assert most == 3


def test_the_observer_sees_counts_ids_and_stages() -> None:
    seen: list[Any] = []
    with open_pool(workers=1, observer=lambda *state: seen.append(state)) as pool:
        list(pool.run([slow(0.2), echo(1)]))
    assert (0, 2, [("slow", "slow")]) in seen
    assert seen[-1] == (2, 2, [])
    assert all(one != other for one, other in itertools.pairwise(seen))


def test_on_done_is_called_for_jobs_nobody_waits_for() -> None:
    found: list[str] = []
    with open_pool(workers=1) as pool:
        for value in range(3):
            pool.submit(echo(value), lambda result: found.append(result.id))
        pool.submit(echo("last")).result()
    assert found == ["0", "1", "2"]


def test_time_spent_elsewhere_is_not_held_against_jobs() -> None:
    """The child waits for us to read its output, not the other way round."""
    job = Job(id="talker", task="process_tasks:print_much", payload=16, deadlines={"run": 1.0})
    stages: list[str] = []
    with open_pool(observer=lambda done, total, running: stages.extend(each[1] for each in running)) as pool:
        handle = pool.submit(job)
        while "run" not in stages:
            pool.wait()
        assert not handle.done
        time.sleep(1.5)
        assert handle.result().outcome == "ok"


def test_poll_does_not_wait() -> None:
    with open_pool() as pool:
        handle = pool.submit(echo(1))
        pool.poll()
        assert not handle.done
        while not handle.done:
            pool.poll()
        assert handle.result().value == 1


def test_a_dead_server_costs_its_running_jobs_only(tmp_path: Path) -> None:
    jobs = [
        Job(id=f"k{n}", task="process_tasks:kill_server_once", payload=str(tmp_path / "done"))
        for n in range(6)
    ]
    with open_pool(workers=1) as pool:
        results = list(pool.run(jobs))
    assert [result.outcome for result in results] == ["crashed"] + ["ok"] * 5
    assert "the job server died (signal SIGKILL)" in results[0].reason
    assert results[0].exit_code is results[0].signal is None


def test_a_dead_server_takes_all_its_running_jobs_and_their_groups(tmp_path: Path) -> None:
    family = Job(id="f", task="process_tasks:grandchild", payload={"then": "hang"})
    killer = Job(id="k", task="process_tasks:kill_server_once", payload=str(tmp_path / "done"))
    with open_pool(workers=2) as pool:
        first = pool.submit(family)
        while not first.done and not pool._running:
            pool.wait()
        while pool._running[0][0].stage != "hanging":
            pool.wait()
        assert pool.submit(killer).result().outcome == "crashed"
        result = first.result()
        assert (result.outcome, result.stage) == ("crashed", "hanging")
        assert wait_until_gone(result.partials[0]["pid"])
        assert wait_until_gone(result.partials[0]["grandchild"])
        assert pool.submit(echo("next")).result().outcome == "ok"


def test_children_die_with_their_server_even_if_nobody_looks() -> None:
    stages: list[str] = []
    with open_pool(observer=lambda done, total, running: stages.extend(each[1] for each in running)) as pool:
        pool.submit(Job(id="h", task="process_tasks:hang_deaf"))
        while "hanging" not in stages:
            pool.wait()
        (child,) = (running.pid for running, _ in pool._running.values())
        os.kill(pool._link.process.pid, signal.SIGKILL)
        assert wait_until_gone(child)


def test_a_server_that_keeps_dying_is_reported_and_not_restarted_for_ever() -> None:
    jobs = [Job(id=str(n), task="process_tasks:kill_server") for n in range(50)]
    ended = []
    with open_pool(workers=1) as pool, pytest.raises(MachineError, match="died") as caught:
        ended.extend(pool.run(jobs))
    assert len(ended) <= MAX_SERVER_DEATHS
    assert {result.outcome for result in ended} == {"crashed"}
    assert caught.value.hint
    with pytest.raises(MachineError, match="died"):
        pool._pump(None)


def test_a_stuck_server_is_replaced() -> None:
    deadlines = Deadlines(stages={"start": 0.5}, default=0.5, grace=0.2, reply=0.2)
    with open_pool(workers=2, deadlines=deadlines) as pool:
        stopper = pool.submit(Job(id="stop", task="process_tasks:stop_server"))
        victim = pool.submit(echo("victim"))
        assert stopper.result().outcome == "timeout"
        assert victim.result().outcome in ("ok", "timeout")  # it may have been quicker
        assert pool.submit(echo("after")).result().value == "after"


def test_a_preload_that_fails_is_reported() -> None:
    with open_pool(preload=["json", "no_such_module"]) as pool:
        handles = [pool.submit(echo(n)) for n in range(2)]
        for handle in handles:
            with pytest.raises(MachineError, match="cannot import no_such_module") as caught:
                handle.result()
            assert "ModuleNotFoundError" in caught.value.problem
            assert "no_such_module" in str(caught.value.hint)


def test_a_preload_that_never_ends_is_reported(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(600)")
    with (
        open_pool(
            preload=["endless"],
            launch_environment={"PYTHONPATH": str(tmp_path)},
            deadlines=Deadlines(preload=1.0),
        ) as pool,
        pytest.raises(MachineError, match="within 1 s") as caught,
    ):
        pool.submit(echo(1)).result()
    assert "loading" in caught.value.problem


def test_a_preload_that_kills_the_server_is_reported(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text("import os\nprint('farewell', flush=True)\nos.abort()")
    with (
        open_pool(preload=["deadly"], launch_environment={"PYTHONPATH": str(tmp_path)}) as pool,
        pytest.raises(MachineError, match="SIGABRT") as caught,
    ):
        pool.submit(echo(1)).result()
    assert "before it was ready" in caught.value.problem
    assert "farewell" in caught.value.problem


def test_threads_of_preloaded_modules_are_warned_of(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True, name='lurker').start()"
    )
    path = os.pathsep.join([str(tmp_path), str(HELPERS)])
    with open_pool(preload=["threaded"], launch_environment={"PYTHONPATH": path}) as pool:
        handle = pool.submit(echo(1))
        with pytest.warns(RuntimeWarning, match="lurker"):
            assert handle.result().outcome == "ok"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_ctrl_c_kills_everything_and_is_raised(scratch: Path) -> None:
    before = descriptors()
    family = Job(id="f", task="process_tasks:grandchild", payload={"then": "hang"})
    pids: list[int] = []

    def observe(done: int, total: int, running: Any) -> None:
        pids.extend(each[0].pid for each in pool._running.values() if each[0].pid)

    pool = open_pool(workers=2, observer=observe)
    pool.submit(family)
    handle = pool.submit(
        Job(
            id="i",
            task="process_tasks:interrupt",
            payload={"pid": os.getpid(), "signal": int(signal.SIGINT)},
        )
    )
    with pytest.raises(KeyboardInterrupt):
        handle.result()
    # No `with` here: the interrupt itself has cleaned up.
    assert descriptors() == before
    assert list(scratch.iterdir()) == []
    assert pids
    assert all(wait_until_gone(pid) for pid in pids)
    with pytest.raises(RequestError, match="closed"):
        handle.result()


def test_leaving_a_run_early_drops_its_jobs_but_no_others(scratch: Path) -> None:
    with open_pool(workers=2) as pool:
        other = pool.submit(slow(0.5))
        for result in pool.run([echo(1), *[slow(60) for _ in range(5)]]):
            assert result.value == 1
            break
        assert other.result().outcome == "ok"
        assert pool.submit(echo("next")).result().value == "next"
        assert not pool._running


def test_a_closed_pool_says_so() -> None:
    with open_pool() as pool:
        handle = pool.submit(echo(1))
    pool.close()
    with pytest.raises(RequestError, match="closed"):
        handle.result()
    with pytest.raises(RequestError, match="closed"):
        pool.submit(echo(2))


def test_no_workers_is_refused() -> None:
    with pytest.raises(RequestError, match="workers"):
        open_pool(workers=0)


def test_when_the_parent_is_killed_nothing_survives(tmp_path: Path) -> None:
    """SIGKILL leaves the parent no chance; the server sees the socket close."""
    code = (
        "import os, sys, tempfile\n"
        "from process_tasks import open_pool\n"
        "from nanocheck.process.jobs import Job\n"
        "pool = open_pool(workers=2)\n"
        "one = pool.submit(Job(id='g', task='process_tasks:grandchild', payload={'then': 'hang'}))\n"
        "def report(*_):\n"
        "    for running, _ in pool._running.values():\n"
        "        if running.stage == 'hanging' and running.job.id == 'g':\n"
        "            grandchild = running._partials[0]['grandchild']\n"
        "            print(pool._link.process.pid, running.pid, grandchild, flush=True)\n"
        "            os.kill(os.getpid(), 9)\n"
        "pool._observer = report\n"
        "one.result()\n"
    )
    root = HELPERS
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(root), str(root.parent)]),
        "TMPDIR": str(tmp_path),
    }
    driver = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    assert driver.returncode == -signal.SIGKILL, driver.stderr
    pids = [int(pid) for pid in driver.stdout.split()]
    assert len(pids) == 3
    assert all(wait_until_gone(pid) for pid in pids)
    assert list(tmp_path.iterdir()) == []
