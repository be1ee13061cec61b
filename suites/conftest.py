"""Runs for the suites that compute: each plan is trained once, in a process of its own, two at a time."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pytest

from nanocheck.core.errors import NanocheckError
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import Trace
from nanocheck.numerics.training.runs import Runs
from nanocheck.report.training_section import section


class Asking:
    """``Runs`` for tests: what gives no trace fails the test with its reason."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.seen: dict[Plan, Trace] = {}

    def start(self, plans: Iterable[Plan]) -> None:
        """Begin with these beside each other, before the first one is waited for."""
        self._or_fail(lambda: self.runs.start(plans))

    def __getitem__(self, plan: Plan) -> Trace:
        trace: Trace = self._or_fail(lambda: self.runs.trace(plan))
        self.seen[plan] = trace
        return trace

    def ask(self, task: str, payload: Mapping[str, Any]) -> Any:
        """See ``Runs.ask``."""
        return self._or_fail(lambda: self.runs.ask(task, payload))

    @property
    def on_gpu(self) -> bool:
        """Whether these runs are on a GPU."""
        return bool(self._or_fail(lambda: self.runs.on_gpu))

    def _or_fail(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except NanocheckError as error:
            problem = str(error)
        # Outside of the handler: pytest would print the error and its causes once more.
        pytest.fail(problem, pytrace=False)


def _plans(item: pytest.Item) -> list[Plan]:
    """Every run that a test names among its parameters."""
    values = getattr(getattr(item, "callspec", None), "params", {}).values()
    return [plan for value in values for plan in getattr(value, "plans", ())]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(plan.config.compile != "off" for plan in _plans(item)):
            item.add_marker("compiled_arithmetic")


@pytest.fixture(scope="session")
def runs(request: pytest.FixtureRequest) -> Iterator[Asking]:
    # A virtual GPU computes nothing, so a loss never comes from one: the CPU stands in, and says so.
    virtual = request.config.getoption("--device", default=None) == "virtual"
    wanted: dict[str, Plan] = {}
    for item in request.session.items:
        if "runs" in getattr(item, "fixturenames", ()):
            wanted.update({plan.key: plan for plan in _plans(item)})
    compiled = any(plan.config.compile != "off" for plan in wanted.values())
    with Runs("cpu" if virtual else "auto", compiled=compiled) as started:
        asking = Asking(started)
        asking.start(wanted.values())
        yield asking
    found = section(asking.seen, datetime.date.today().isoformat())
    plugin = request.config.pluginmanager.get_plugin("nanocheck-run")
    if found is not None and plugin is not None:
        plugin.session.add_section(found)


@pytest.fixture(scope="session")
def updating(request: pytest.FixtureRequest) -> bool:
    """Whether this run accepts what it finds."""
    return bool(request.config.getoption("--update-baselines", default=False))
