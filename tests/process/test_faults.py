"""Whatever a job does to itself, its result says what happened, and the next job runs."""

from __future__ import annotations

import json
import os
import resource
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from process_tasks import open_pool, wait_until_gone

from nanocheck.core.errors import RequestError
from nanocheck.process.child import Reporter
from nanocheck.process.jobs import Deadlines, Job, JobResult

SHORT = Deadlines(stages={"hanging": 0.3, "quick": 1.0}, default=60, grace=1.0)


@pytest.fixture(scope="module")
def pool() -> Iterator[Any]:
    with open_pool(workers=2, deadlines=SHORT) as pool:
        yield pool


@pytest.fixture
def run(pool: Any) -> Iterator[Any]:
    def call(task: str, payload: Any = None, **options: Any) -> JobResult:
        result: JobResult = pool.submit(
            Job(id=task, task=f"process_tasks:{task}", payload=payload, **options)
        ).result()
        return result

    yield call
    assert call("echo", "still served").value == "still served"


def test_an_ordinary_job(run: Any) -> None:
    payload = {"nested": [1, 2.5, None, True, "ünïcode \ud800"]}
    result = run("echo", payload)
    assert (result.outcome, result.value, result.exit_code, result.signal) == ("ok", payload, 0, None)
    assert list(result.seconds) == ["start", "import", "run"]
    assert result.reason == ""
    assert result.maxrss_bytes > 1 << 20


def test_segfault(run: Any) -> None:
    result = run("segfault")
    assert (result.outcome, result.signal, result.exit_code) == ("crashed", "SIGSEGV", None)
    assert result.stage == "doomed"
    assert result.partials == ({"reached": 1},)
    assert "SIGSEGV" in result.reason
    assert "about to die" in result.output
    assert "in segfault" in result.output, "the Python stack belongs into the output"


def test_abort(run: Any) -> None:
    assert run("abort").signal == "SIGABRT"


@pytest.mark.parametrize("code", [0, 3])
def test_leaving_without_a_result(run: Any, code: int) -> None:
    result = run("leave", code)
    assert (result.outcome, result.exit_code, result.value) == ("crashed", code, None)
    assert f"exit code {code}" in result.reason


def test_sys_exit_is_an_error_with_its_argument(run: Any) -> None:
    result = run("call_exit", "no data set")
    assert (result.outcome, result.error.type, result.error.message) == (
        "error",
        "SystemExit",
        "no data set",
    )


@pytest.mark.parametrize("task", ["hang", "hang_deaf"])
def test_a_hang_ends_at_the_deadline_of_its_stage(run: Any, task: str) -> None:
    result = run(task)
    assert result.outcome == "timeout"
    assert result.stage == "hanging"
    assert result.signal == ("SIGTERM" if task == "hang" else "SIGKILL")
    assert "'hanging'" in result.reason
    assert "0.3 s" in result.reason


def test_a_hang_says_where(run: Any) -> None:
    assert "in hang_here" in run("hang").output


def test_each_stage_has_its_own_deadline(run: Any) -> None:
    """Together they take longer than any one may."""
    result = run("stages", [["quick", 0.6], ["other", 0.1], ["quick", 0.6]])
    assert result.outcome == "ok"
    assert result.seconds["quick"] >= 1.2
    assert list(result.seconds) == ["start", "import", "run", "quick", "other"]


def test_a_job_overrides_deadlines(run: Any) -> None:
    assert run("stages", [["slow", 30]], deadlines={"slow": 0.2}).outcome == "timeout"
    assert run("stages", [["quick", 1.2]], deadlines={"quick": 30}).outcome == "ok"


@pytest.mark.parametrize("then", ["hang", "return"])
@pytest.mark.parametrize("escape", [False, True])
def test_grandchildren_die_with_their_job(then: str, escape: bool) -> None:
    with open_pool(deadlines=SHORT) as pool:
        job = Job(id="g", task="process_tasks:grandchild", payload={"then": then, "escape": escape})
        result = pool.submit(job).result()
        assert result.outcome == ("timeout" if then == "hang" else "ok")
        if not escape:
            assert wait_until_gone(result.partials[0]["grandchild"])
    # One that left the group dies with the pool at the latest.
    assert wait_until_gone(result.partials[0]["grandchild"])


def test_a_forked_copy_of_the_task_cannot_report(run: Any) -> None:
    assert run("forks").value == "original"


def test_a_gigabyte_of_output_costs_no_memory(run: Any) -> None:
    run("print_much", 16)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = run("print_much", 1024)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 8 << 10
    assert result.outcome == "ok"
    assert result.output_bytes == (1 << 30) + len("the end\n")
    assert len(result.output) == 16 << 10
    assert result.output.endswith("xthe end\n")


def test_output_is_kept_in_order_and_stdin_is_empty(run: Any) -> None:
    result = run("print_words")
    assert result.output == "on stdout\non stderr\nfrom a process\n"
    assert result.value == ""


AT = '"at": 1.0'


@pytest.mark.parametrize(
    "text",
    [
        "hello\n",
        "\n",
        "\xff\xfe\n",
        "[]\n",
        '{"kind": "result"}\n',
        '{"kind": "unheard of", "at": 1.0}\n',
        '{"kind": "result", "data": NaN, "at": 1.0}\n',
        '{"kind": "partial", "data": 1e999, "at": 1.0}\n',
        '{"kind": "result", "data": 1, "at": "noon"}\n',
        '{"kind": "result", "data": 1, "at": 1.0, "more": 1}\n',
        '{"kind": "stage", "name": 7, "at": 1.0}\n',
        '{"kind": "error", "error": {"type": "E"}, "at": 1.0}\n',
        '{"kind": "error", "error": 5, "at": 1.0}\n',
        '{"kind": "result", "data": 1, "at": 1.0}\n{"kind": "result", "data": 2, "at": 1.0}\n',
        '{"kind": "result", "data": 1, "at": 1.0} {"kind"',
        "[" * 100_000 + "\n",
    ],
)
@pytest.mark.parametrize("leave", [None, 0])
def test_garbage_on_the_result_channel(run: Any, text: str, leave: int | None) -> None:
    result = run("write_results", {"text": text, "exit": leave})
    assert result.outcome == "garbage", result
    assert "result channel" in result.reason
    assert result.value is None
    assert len(result.reason) < 300


def test_a_flood_of_results_is_cut_off(run: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = run("flood_results")
    assert (result.outcome, "16 MiB" in result.reason) == ("garbage", True)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 80 << 10


def test_killed_in_the_middle_of_a_report(run: Any) -> None:
    result = run("killed_mid_write")
    assert (result.outcome, result.signal, result.partials) == ("crashed", "SIGKILL", ("whole",))


def test_a_sigkill_of_unknown_origin_speaks_of_memory(run: Any) -> None:
    result = run("kill_self", signal.SIGKILL)
    assert (result.outcome, result.signal) == ("crashed", "SIGKILL")
    assert "nanocheck did not send it" in result.reason
    assert "memory" in result.reason


@pytest.mark.parametrize(("task", "kind"), [("not_json", "TypeError"), ("not_a_number", "ValueError")])
def test_a_result_that_json_cannot_hold(run: Any, task: str, kind: str) -> None:
    result = run(task)
    assert (result.outcome, result.error.type) == ("error", kind)


def test_an_exception_arrives_with_its_traceback(run: Any) -> None:
    result = run("raises")
    assert result.outcome == "error"
    assert result.error.type == "KeyError"
    assert "what was missing" in result.error.message
    assert "in raises" in result.error.traceback
    assert result.error.exit_code is None


def test_a_nanocheck_error_keeps_problem_hint_and_exit_code(run: Any) -> None:
    error = run("raises_nanocheck", 3).error
    assert (error.type, error.problem, error.hint, error.exit_code) == (
        "MachineError",
        "too small",
        "buy a larger one",
        3,
    )
    assert run("raises_nanocheck", 2).error.exit_code == 2


def test_memory_error(run: Any) -> None:
    result = run("out_of_memory")
    assert (result.outcome, result.error.type) == ("error", "MemoryError")


@pytest.mark.parametrize("task", ["process_tasks:absent", "absent_module:run", "process_tasks"])
def test_a_task_that_is_not_there(pool: Any, task: str) -> None:
    result = pool.submit(Job(id="absent", task=task)).result()
    assert (result.outcome, result.stage) == ("error", "import")
    assert result.error.type in ("AttributeError", "ModuleNotFoundError")


def test_a_task_that_closes_the_result_channel(run: Any) -> None:
    result = run("closes_everything")
    assert (result.outcome, result.exit_code) == ("crashed", 70)
    assert "Bad file descriptor" in result.output


def test_a_thread_that_reports_for_ever(run: Any) -> None:
    result = run("emits_after_return")
    assert (result.outcome, result.value) == ("ok", "returned")
    assert set(result.partials) == {"still here"}


def test_nothing_can_be_reported_after_the_result() -> None:
    read, write = os.pipe()
    try:
        reporter = Reporter(write)
        reporter.emit("partial", 1)
        reporter.result(2)
        written = os.read(read, 1 << 16)
        for late in (lambda: reporter.emit("partial", 3), lambda: reporter.result(4)):
            with pytest.raises(RuntimeError, match="already"):
                late()
        assert [json.loads(line)["kind"] for line in written.splitlines()] == ["partial", "result"]
        os.set_blocking(read, False)
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
    finally:
        os.close(read)
        os.close(write)


@pytest.mark.parametrize("payload", [["unknown", 1], ["stage", 5], ["partial", None, 1]])
def test_emit_refuses_what_the_protocol_does_not_have(run: Any, payload: Any) -> None:
    result = run("emits_oddly", payload)
    assert result.error.type in ("ValueError", "TypeError")


@pytest.mark.parametrize("payload", [float("inf"), {1, 2}, object()])
def test_a_payload_that_json_cannot_hold_is_refused_at_once(run: Any, payload: Any) -> None:
    with pytest.raises(RequestError, match="payload"):
        run("echo", payload)


def test_large_reports_come_whole(run: Any) -> None:
    result = run("big", 3 << 20)
    assert result.outcome == "ok"
    assert (len(result.value), [len(each) for each in result.partials]) == (3 << 20, [3 << 20])


def test_a_large_payload_goes_whole(run: Any) -> None:
    assert len(run("echo", "z" * (5 << 20)).value) == 5 << 20
