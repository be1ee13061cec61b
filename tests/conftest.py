"""Shared by the tests of nanocheck itself (``suites/`` is what users run)."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from paths import HELPERS, QUICK

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.process.jobs import Job, JobResult
from nanocheck.process.pool import Pool
from nanocheck.virtual import card_environment, prepare

# Here, and in every child: two threads on a busy machine wait for each other, at full speed, longer than they
# compute. It must be known before the first library with threads is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Every Python that a test starts imports torch in half the time: see tests/helpers/quick/sitecustomize.py.
# The workers of xdist come here with their controller's variables.
if "NANOCHECK_TESTS_QUICK" not in os.environ:
    os.environ["NANOCHECK_TESTS_QUICK"] = "1"
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(QUICK), os.environ.get("PYTHONPATH"))))

settings.register_profile("ci", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("dev", deadline=None)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_collection_finish() -> None:
    """What was collected stays to the end: nobody looks for garbage in half a million objects again.

    Each pytest that a test runs in this process does so some times, for a quarter of a second each.
    """
    gc.freeze()


#: Runs a task of tests/helpers/virtual_tasks.py in a child on the virtual GPU and gives back how it ended.
OnVirtual = Callable[..., JobResult]


@pytest.fixture(scope="session", autouse=True)
def output_as_into_a_pipe() -> None:
    """Neither xdist, which hands its terminal's width to its workers, nor a person's settings lay out what
    the tests read.
    """
    for name in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR"):
        os.environ.pop(name, None)


@pytest.fixture
def whole_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes start as a user's do: for tests of whole programs as they are."""
    monkeypatch.delenv("NANOCHECK_TESTS_QUICK")


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """What a background job or nohup ignores is heard by the tests and by their children.

    Children inherit what is ignored, but not handlers: with one that does nothing, pytest itself still
    outlives the hangup that nohup was asked to keep from it.
    """
    wanted = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGHUP: lambda *_: None,
        signal.SIGQUIT: lambda *_: None,
    }
    ignored = [number for number in wanted if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, wanted[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(scope="session")
def virtual_pool() -> Iterator[Pool]:
    """One server with torch imported, for all tests of the session."""
    launch = {**prepare().launch_environment(), "PYTHONPATH": f"{QUICK}:{HELPERS}"}
    with Pool(1, launch, ["torch", "virtual_tasks"]) as pool:
        yield pool


@pytest.fixture
def on_virtual(virtual_pool: Pool) -> OnVirtual:
    def run(
        task: str, payload: Any = None, *, gpu: str = "rtx4070", expandable: bool = False, **device: Any
    ) -> JobResult:
        environment = card_environment(Target(kind="virtual", gpu=find_gpu(gpu), **device))
        if expandable:
            environment["PYTORCH_ALLOC_CONF"] = "expandable_segments:True"
            environment["PYTORCH_CUDA_ALLOC_CONF"] = "expandable_segments:True"
        job = Job(id=task, task=f"virtual_tasks:{task}", payload=payload, environment=environment)
        return virtual_pool.submit(job).result()

    return run
