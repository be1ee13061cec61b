"""Suites that train: each plan is trained once, in a process of its own, two at a time.

A test that takes ``training_runs`` names its runs among its parameters: any parameter with a ``plans``.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from nanocheck.core.errors import NanocheckError
from nanocheck.core.scrub import disarm, scrub
from nanocheck.pytest_plugin.context import Context

if TYPE_CHECKING:
    from nanocheck.numerics.plan import Plan
    from nanocheck.numerics.trace import Trace
    from nanocheck.numerics.training.runs import Runs

Value = TypeVar("Value")
#: Marks tests whose runs the CPU's compiler takes minutes for, once.
COMPILED = "compiled_arithmetic"
_STALE = "stale curve"


class TrainingRuns:
    """``Runs`` for tests: what gives no trace fails the test with its reason."""

    def __init__(self, runs: Runs) -> None:
        self.runs = runs
        self.seen: dict[Plan, Trace] = {}

    def start(self, plans: Iterable[Plan]) -> None:
        """Begin with these beside each other, before the first one is waited for."""
        _or_fail(lambda: self.runs.start(plans))

    def __getitem__(self, plan: Plan) -> Trace:
        trace = _or_fail(lambda: self.runs.trace(plan))
        self.seen[plan] = trace
        return trace

    def ask(self, task: str, payload: Mapping[str, Any]) -> Any:
        """See ``Runs.ask``."""
        return _or_fail(lambda: self.runs.ask(task, payload))

    @property
    def on_gpu(self) -> bool:
        """Whether these runs are on a GPU."""
        return bool(_or_fail(lambda: self.runs.on_gpu))


class TrainingSuite:
    """One pytest process; joins the run through its context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._stale: Counter[str] = Counter()
        context.receive(_STALE, lambda: str, self._keep)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if any(plan.config.compile != "off" for plan in _plans(item)):
                item.add_marker(COMPILED)

    @pytest.fixture
    def stale_curve(self, request: pytest.FixtureRequest) -> Callable[[str], None]:
        """To be called with why a stored curve is of another environment; reported once, at the end."""
        return lambda why: self.context.attach(request.node, _STALE, why)

    def _keep(self, why: str) -> None:
        self._stale[why] += 1

    def finish(self) -> None:
        """One line, however many curves are stale."""
        for why, count in self._stale.items():
            curves = "1 stored loss curve is" if count == 1 else f"{count} stored loss curves are"
            self.context.messages.append(f"{curves} of another environment: {why}")


@pytest.fixture(scope="session")
def training_runs(nanocheck: Context, request: pytest.FixtureRequest) -> Iterator[TrainingRuns]:
    """Trains what the selected tests name, and gives traces by plan."""
    from nanocheck.numerics.training.runs import Runs
    from nanocheck.report.progress import Progress
    from nanocheck.report.training_section import section

    # A virtual GPU computes nothing, so a loss never comes from one: the CPU stands in, and says so.
    virtual = request.config.getoption("--device", default=None) == "virtual"
    wanted: dict[str, Plan] = {}
    for item in request.session.items:
        if "training_runs" in getattr(item, "fixturenames", ()):
            wanted.update({plan.key: plan for plan in _plans(item)})
    compiled = any(plan.config.compile != "off" for plan in wanted.values())
    progress = Progress()
    with Runs("cpu" if virtual else "auto", compiled=compiled, progress=progress) as started:
        runs = TrainingRuns(started)
        runs.start(wanted.values())
        yield runs
    progress.clear()
    found = section(runs.seen, datetime.date.today().isoformat())
    if found is not None:
        nanocheck.add_section(found)


def _or_fail(ask: Callable[[], Value]) -> Value:
    try:
        return ask()
    except NanocheckError as error:
        problem = str(error)
    # Outside of the handler: pytest would print the error and its causes once more.
    pytest.fail(disarm(scrub(problem)), pytrace=False)


def _plans(item: pytest.Item) -> list[Plan]:
    """Every run that a test names among its parameters."""
    values = getattr(getattr(item, "callspec", None), "params", {}).values()
    return [plan for value in values for plan in getattr(value, "plans", ())]
