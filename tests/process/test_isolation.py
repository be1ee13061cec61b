"""Each job starts in a clean process and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from process_tasks import descriptors, open_pool, wait_until_gone

from nanocheck.process.jobs import Deadlines, Job


def look(pool: Any, **environment: str | None) -> dict[str, Any]:
    result = pool.submit(Job(id="look", task="process_tasks:surroundings", environment=environment)).result()
    assert result.outcome == "ok", result
    value: dict[str, Any] = result.value
    return value


def test_each_child_sees_its_own_environment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_PARENT", "parent")
    with open_pool(launch_environment={"FROM_LAUNCH": "launch"}) as pool:
        first = look(pool, OWN="first", FROM_PARENT=None)["environment"]
        second = look(pool, OTHER="second", FROM_LAUNCH="changed")["environment"]
        third = look(pool)["environment"]
    assert (first.get("OWN"), first.get("OTHER"), first.get("FROM_PARENT")) == ("first", None, None)
    assert (second.get("OWN"), second.get("OTHER"), second["FROM_PARENT"]) == (None, "second", "parent")
    assert (first["FROM_LAUNCH"], second["FROM_LAUNCH"], third["FROM_LAUNCH"]) == (
        "launch",
        "changed",
        "launch",
    )
    assert not {"OWN", "OTHER"} & set(third)
    assert not {"OWN", "OTHER", "FROM_LAUNCH"} & set(os.environ)


def test_a_child_is_alone() -> None:
    with open_pool() as pool:
        one, two = look(pool), look(pool)
        # As soon as the job has ended, not only when the pool has.
        assert not Path(one["directory"]).exists()
    for seen in (one, two):
        assert seen["pid"] == seen["group"]
        assert seen["threads"] == 1
        assert seen["collects"]
        assert seen["oom_score_adj"] == "1000"
        assert not seen["sigterm_blocked"]
        assert seen["directory_entries"] == []
        assert seen["parent"] == one["parent"] != os.getpid()
        assert "torch" not in seen["modules"]
    assert one["pid"] != two["pid"]
    assert one["directory"] != two["directory"]


def test_a_child_holds_no_descriptors_but_its_own() -> None:
    with open_pool(workers=3) as pool:
        slow = [
            pool.submit(Job(id="slow", task="process_tasks:stages", payload=[["a", 0.3]])) for _ in range(2)
        ]
        seen = look(pool)["descriptors"]
        assert all(each.result().outcome == "ok" for each in slow)
    assert seen.pop("0") == "/dev/null"
    assert seen.pop("1") == seen.pop("2")
    assert [name.partition(":")[0] for name in seen.values()] == ["pipe"], seen


def test_programs_that_a_job_starts_do_not_hold_its_result_pipe() -> None:
    with open_pool() as pool:
        result = pool.submit(Job(id="i", task="process_tasks:inherited")).result()
    assert result.outcome == "ok", result
    assert set(json.loads(result.value)) == {"0", "1", "2"}


def test_modules_are_preloaded_and_only_those() -> None:
    with open_pool(preload=["tomllib", "xml.dom"]) as pool:
        modules = look(pool)["modules"]
    assert {"tomllib", "xml.dom"} <= set(modules)
    assert "xml.sax" not in modules


def test_the_current_directory_shadows_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    with open_pool() as pool:
        assert look(pool)["pid"]


def children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def test_nothing_leaks_over_fifty_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = descriptors()
    with open_pool(workers=4, deadlines=Deadlines(stages={"hanging": 0.05}, grace=0.05)) as pool:
        tasks = ["echo", "raises", "segfault", "grandchild", "leave", "hang", "kill_self", "print_words"]
        payloads = {"grandchild": {"then": "return"}, "leave": 1, "kill_self": 15}
        jobs = [
            Job(id=task, task=f"process_tasks:{task}", payload=payloads.get(task))
            for task in (tasks * 7)[:50]
        ]
        at_ten = {}
        results = []
        for result in pool.run(jobs):
            results.append(result)
            if len(results) == 10:
                at_ten = descriptors()
        assert len(results) == 50
        assert len(descriptors()) <= len(at_ten)
        server = look(pool)["parent"]
        assert Path(f"/proc/{server}").exists()
        # Its socket, its pipe to itself, its standard streams; while it looks for orphans, one file more.
        end = time.monotonic() + 10
        while children(server) or len(list(Path(f"/proc/{server}/fd").iterdir())) > 6:
            assert time.monotonic() < end, (children(server), list(Path(f"/proc/{server}/fd").iterdir()))
            time.sleep(0.01)
    assert descriptors() == before
    assert wait_until_gone(server)
    assert list(tmp_path.iterdir()) == []
    for result in results:
        for partial in result.partials:
            assert wait_until_gone(partial.get("grandchild", server))


def test_the_servers_memory_does_not_grow_with_its_jobs() -> None:
    def resident(pid: int) -> int:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    with open_pool() as pool:
        server = look(pool)["parent"]
        before_kib = resident(server)
        for _ in pool.run(
            [Job(id="big", task="process_tasks:echo", payload="x" * (4 << 20)) for _ in range(10)]
        ):
            pass
        assert resident(server) - before_kib < 2 << 10


def test_the_parents_side_imports_no_torch() -> None:
    code = (
        "import sys, nanocheck.measuring.configurations, nanocheck.process.pool, nanocheck.report.progress\n"
        "assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
