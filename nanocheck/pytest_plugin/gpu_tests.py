"""A project's own tests on the virtual GPU: the marker ``fits`` and the fixture ``gpu_memory``.

``@pytest.mark.fits("rtx4070", "rtx4090", margin="1GiB", reserve="2GiB")`` on a test that trains the project's
own model: its body runs in a child process on that card, the virtual one or, where it is here, the real one,
and the test fails unless the verdict is *safe*. With several cards it is a test for each. The fixture
``gpu_memory`` alone runs the test on the card of ``--gpu``, whatever the verdict. A card may be a machine
with several, ``2xrtx4090``, for tests that start ranks of their own: the worst of them decides.

Fixtures are set up in the child only: this process has no GPU, and must not be asked for one.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from nanocheck.core.errors import RequestError
from nanocheck.core.scrub import disarm
from nanocheck.core.units import parse_size_of
from nanocheck.pytest_plugin.context import Context
from nanocheck.pytest_plugin.gpu_test_child import CHILD, FIXTURE, Said, read_said
from nanocheck.pytest_plugin.gpu_test_report import problem_of, properties_of
from nanocheck.pytest_plugin.result_files import store

if TYPE_CHECKING:
    from nanocheck.core.result import Holding, RunResult
    from nanocheck.core.verdict import JudgedRun
    from nanocheck.measuring.request import Request

MARKER = "fits"
#: The parameter that several cards make.
_CARD = "nanocheck_card"
_RESULTS = "gpu tests"
_WORDS = {"margin", "reserve", "platform", "time_limit", "ranks"}
_TIME_LIMIT = "10min"
_DEFINITION = (
    f"{MARKER}(*cards, margin='512MiB', reserve='0', platform='linux', time_limit='10min', ranks='0,last'): "
    "the test runs on each of these cards or machines (2xrtx4090), virtual where they are not here, and "
    "fails unless it is safe there (nanocheck)"
)


class GpuTests:
    """One pytest process; joins the run through its context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        context.config.addinivalue_line("markers", _DEFINITION)
        self._results: dict[str, RunResult] = {}
        context.receive(_RESULTS, _result_type, self._keep)

    def _keep(self, result: RunResult) -> None:
        self._results[result.id] = result

    # -- which tests --------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        marker = metafunc.definition.get_closest_marker(MARKER)
        if marker is not None and len(marker.args) > 1:
            metafunc.fixturenames.append(_CARD)
            metafunc.parametrize(_CARD, marker.args)

    @pytest.hookimpl(trylast=True)  # markers that a conftest adds are there by then
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if os.environ.get(CHILD):
            return
        for item in items:
            if isinstance(item, pytest.Function) and _is_ours(item):
                self._send_to_a_child(item)

    def _send_to_a_child(self, item: pytest.Function) -> None:
        """Nothing of the test but its result is in this process."""
        overridden: Any = item
        overridden.setup = overridden.teardown = lambda: None
        overridden.runtest = lambda: self._run(item)

    # -- one test -----------------------------------------------------------------------------------------

    def _run(self, item: pytest.Function) -> None:
        function = inspect.unwrap(item.function)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            pytest.fail(
                f"{item.nodeid}: expected a plain function, found an async one, which no child runs\n"
                "  hint: call asyncio.run in a plain test",
                pytrace=False,
            )
        asked = self.context.answer(lambda: self._request(item))
        run, said = self.context.answer(lambda: self._observe(item, asked))
        for name, value in properties_of(run).items():
            item.user_properties.append((name, value))
        folder = self.context.settings.results
        if folder is not None:
            ran_out = run.result.oom is not None and said.outcome != "passed"
            self.context.answer(lambda: store(run, folder, item.config.rootpath, ran_out=ran_out))
        problem = problem_of(run, said, must_fit=item.get_closest_marker(MARKER) is not None)
        if problem is None and said.outcome == "skipped":
            pytest.skip(said.text or "skipped in the child")
        if said.unchanged:
            for each in _each_rank(run):
                self.context.attach(item, _RESULTS, each)
        if problem is None and said.unchanged and not self.context.settings.update:
            problem = self._changed(item, run)
        if problem is not None:
            pytest.fail(disarm(problem), pytrace=False)  # with the child's own colours

    def _request(self, item: pytest.Function) -> Request:
        """
        Raises:
            RequestError: the marker's arguments make no sense.
        """
        from dataclasses import replace

        from nanocheck.measuring.request import Request, parse_duration, parse_ranks

        asked = self.context.settings.card
        marker = item.get_closest_marker(MARKER)
        words = {} if marker is None else dict(marker.kwargs)
        unknown = sorted(set(words) - _WORDS)
        if unknown:
            raise RequestError(
                f"{item.nodeid}: expected of `{MARKER}` the words {', '.join(sorted(_WORDS))}, found "
                f"{', '.join(unknown)}"
            )
        cards = () if marker is None else marker.args
        if sum(each.name == MARKER for each in item.own_markers) > 1:
            raise RequestError(
                f"{item.nodeid}: expected one `{MARKER}`, found several, of which only one would count",
                hint=f'name all cards in one: @pytest.mark.{MARKER}("rtx4070", "rtx4090")',
            )
        callspec = getattr(item, "callspec", None)
        card = callspec.params.get(_CARD) if callspec is not None and len(cards) > 1 else None
        if len(cards) > 1 and card is None:
            raise RequestError(
                f"{item.nodeid}: expected one card of `{MARKER}` here, found {', '.join(map(str, cards))}",
                hint="several make tests of a plain function alone: not of unittest's, not in pytest.param",
            )
        ranks = words.get("ranks")
        changes: dict[str, Any] = {"gpu": str(card or (cards[0] if cards else asked.gpu))}
        for name in ("margin", "reserve"):
            if name in words:
                changes[f"{name}_bytes"] = parse_size_of(f"{MARKER}({name}=)", str(words[name]))
        if "platform" in words:
            changes["platform"] = str(words["platform"])
        name = str(item.path) + item.nodeid[item.nodeid.index("::") :]
        return Request(
            command=[sys.executable, "-m", "pytest", *_arguments(item.config), name],
            card=replace(asked, **changes),
            steps=0,
            time_limit_s=parse_duration(str(words.get("time_limit", _TIME_LIMIT))),
            ranks=parse_ranks(None if ranks is None else str(ranks), f"{MARKER}(ranks=)"),
        )

    def _observe(self, item: pytest.Function, request: Request) -> tuple[JudgedRun, Said]:
        """
        Raises:
            NanocheckError: an unknown card, or nothing can run here.
        """
        from nanocheck.core.verdict import JudgedRun
        from nanocheck.measuring.foreground_run import run_command

        with tempfile.TemporaryDirectory(prefix="nanocheck-test-") as folder:
            said = Path(folder) / "said.jsonl"
            with _environment(CHILD, str(said)):
                result = run_command(request, request.card.select())
            result = msgspec.structs.replace(_relative(result, item.config.rootpath), test=item.nodeid)
            return JudgedRun.of(result, request.card.margin_bytes), read_said(said)

    def _changed(self, item: pytest.Item, run: JudgedRun) -> str | None:
        from nanocheck.core.rank_runs import machine_name

        baselines = self._baselines()
        command = f"pytest {run.result.test!r} --gpu {machine_name(run.result)} --update-baselines"
        every = self.context.answer(
            lambda: [baselines.compare(each, hint=command) for each in _each_rank(run)]
        )
        problems = []
        for comparison in every:
            said = f"{comparison.sentence}\n  hint: {comparison.hint}"
            if comparison.kind in ("drifted", "stale") and self.context.settings.stale != "fail":
                item.warn(pytest.PytestWarning(f"no bytes were compared: {said}"))
            elif comparison.kind != "equal":
                problems.append(said)
        return "\n".join(problems) or None

    def _baselines(self) -> Any:
        from nanocheck.pytest_plugin.baselines import Baselines

        settings = self.context.settings
        return Baselines(settings.baselines / "tests", settings.command_options, settings.card.margin_bytes)

    # -- the end ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Stores what tests say must not change, where that was asked for."""
        if self._results and self.context.settings.update:
            self.context.guarded(self._update)

    def _update(self) -> None:
        done = self._baselines().update(self._results.values())
        self.context.messages.append(
            f"baselines of tests: {done.created} created, {done.changed} changed, {done.unchanged} unchanged"
        )


def _result_type() -> type[RunResult]:
    from nanocheck.core.result import RunResult

    return RunResult


def _each_rank(run: JudgedRun) -> list[RunResult]:
    """What has a baseline of its own: the test, or each of its ranks that ran, under the machine's name."""
    from nanocheck.core.rank_runs import machine_name, rank_runs

    result = run.result
    if result.world == 1:
        return [result]
    name = f"{result.test}, rank {{}} of {result.world} on {machine_name(result)}"
    return [
        msgspec.structs.replace(each.result, test=name.format(rank)) for rank, each in rank_runs(run).items()
    ]


def _is_ours(item: pytest.Function) -> bool:
    return item.get_closest_marker(MARKER) is not None or FIXTURE in item.fixturenames


#: Options of the parent that are its own: with a value, and without.
_WITH_VALUE = (
    "-k",
    "-m",
    "-n",
    "--dist",
    "--junitxml",
    "--junit-xml",
    "--durations",
    "--maxfail",
    "--deselect",
    "--tb",
    "--nanocheck-results",
)
_ALONE = frozenset(
    [
        "-x",
        "--exitfirst",
        "--lf",
        "--last-failed",
        "--ff",
        "--failed-first",
        "--nf",
        "--sw",
        "--stepwise",
        "--pdb",
        "--collect-only",
        "--co",
        "--update-baselines",
        "--cache-clear",
    ]
)
#: The same with the value in the word, and how much is said.
_SHORT = ("-k", "-m", "-n", "-v", "-q", "-s", "-r")
_IMPORTED_BEFORE = "pytest.PytestAssertRewriteWarning"


def further_arguments(given: Sequence[str], places: Sequence[str]) -> list[str]:
    """Of a command line what the child must know as well, such as options of the project's own.

    Args:
        given: as typed. places: the files and tests among it.
    """
    found: list[str] = []
    rest = iter(given)
    for each in rest:
        name = each.partition("=")[0]
        if name in _WITH_VALUE:
            if "=" not in each:
                next(rest, None)
        elif each in _ALONE or each in places or each.startswith(_SHORT):
            continue
        else:
            found.append(each)
    return found


def _arguments(config: pytest.Config) -> list[str]:
    """So that the child finds the same test in the same way, alone."""
    found = [*further_arguments(config.invocation_params.args, config.args)]
    found += ["--rootdir", str(config.rootpath), "-p", "no:cacheprovider", "-q", "--import-mode"]
    found.append(str(config.getoption("importmode")))
    if config.inipath is not None:
        found += ["-c", str(config.inipath)]
    # What was deselected, expected to fail or reported is the parent's business. nanocheck itself is imported
    # there before pytest, which warns of it.
    found += ["-m", "", "-k", "", "--runxfail", "-W", f"ignore::{_IMPORTED_BEFORE}"]
    for plugin in config.getoption("plugins") or ():
        found += ["-p", plugin]
    if config.pluginmanager.hasplugin("xdist"):
        found += ["-p", "xdist", "-n", "0"]
    return found


def _relative(result: RunResult, root: Path) -> RunResult:
    """Places as the project writes them: no path of this machine goes into a baseline."""

    def shortened(each: Holding) -> Holding:
        where = each.where
        return msgspec.structs.replace(each, where=where and where.replace(f"{root}{os.sep}", ""))

    processes = tuple(
        msgspec.structs.replace(each, largest=tuple(map(shortened, each.largest)))
        for each in result.processes
    )
    return msgspec.structs.replace(result, processes=processes)


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    """A variable that holds for what is started meanwhile."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
