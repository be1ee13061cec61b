"""The pytest plugin: ``pytest suites/ --gpu rtx4070``.

Three suites join a run through one context: memory, claims, and those that train. Nothing here imports torch,
pandas or tabulate before a report is written, and a run that collects no such test never notices the plugin.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from nanocheck.core.errors import MachineError
from nanocheck.core.scrub import disarm, scrub
from nanocheck.pytest_plugin import settings as options
from nanocheck.pytest_plugin.claim_suite import ClaimItem, ClaimSuite
from nanocheck.pytest_plugin.context import Context, context_of
from nanocheck.pytest_plugin.gpu_test_child import CHILD, GpuMemory, Reporter
from nanocheck.pytest_plugin.gpu_tests import GpuTests
from nanocheck.pytest_plugin.memory_suite import MemorySuite, config_of, header
from nanocheck.pytest_plugin.training_suite import COMPILED, TrainingSuite, training_runs

#: pytest looks for fixtures in this module.
__all__ = ["gpu_memory", "nanocheck", "training_runs"]

if TYPE_CHECKING:
    from nanocheck.core.device import Target
    from nanocheck.pytest_plugin.hooks import Measuring
    from nanocheck.pytest_plugin.settings import Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from nanocheck.pytest_plugin import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", f"{COMPILED}: runs of suites/ that the CPU's compiler takes minutes for, once"
    )
    if os.environ.get(CHILD):
        config.pluginmanager.register(Reporter(), "nanocheck-child")
    run = _Run(Context(config))
    config.pluginmanager.register(run, "nanocheck-run")
    for suite in run.suites:
        config.pluginmanager.register(suite, f"nanocheck-{type(suite).__name__}")


class _Run:
    """What every suite needs of pytest, once."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.config = context.config
        self.memory = MemorySuite(context)
        self.claims = ClaimSuite(context)
        self.training = TrainingSuite(context)
        self.tests = GpuTests(context)
        #: In this order they finish: the report of the card is written when all others have said their part.
        self.suites = (self.claims, self.training, self.tests, self.memory)
        self.header_shown = False
        if options.was_given(self.config):
            context.usage(self._check)

    def _check(self) -> None:
        """What can be found wrong before a minute was spent."""
        from nanocheck.core.baselines import refuse_update_in_ci

        settings = self.context.settings
        if settings.update:
            refuse_update_in_ci()
        if not self.config.option.help:
            _ = self.context.selected
            if not settings.own_matrix:
                _ = self.memory.results.matrix

    # -- before anything runs -----------------------------------------------------------------------------

    def pytest_report_header(self) -> list[str]:
        matrix = self.config.rootpath / str(self.config.getini("nanocheck_matrix"))
        arguments = [
            (self.config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in self.config.args
        ]
        about = matrix.is_file() and any(
            matrix.is_relative_to(each) or each.is_relative_to(matrix.parent) for each in arguments
        )
        if not about and not options.was_given(self.config):
            return []
        self.header_shown = True
        return header(self.context)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Memory first: it answers in seconds; what the CPU's compiler takes minutes for comes last."""
        items.sort(key=_place)

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        if self.header_shown or not any(config_of(item) is not None for item in items):
            return []
        self.header_shown = True
        return header(self.context)

    # -- results that travel with their tests' reports ----------------------------------------------------

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        found = self.context.take_attached(item)
        if found:
            report.nanocheck = found
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self.context.is_worker:
            self.context.deliver(getattr(report, "nanocheck", []))

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """xdist: a worker has ended, before the session does."""
        import msgspec

        from nanocheck.report.section import Section

        output = getattr(node, "workeroutput", {}).get("nanocheck", {})
        self.context.from_workers.append(output)
        for section in msgspec.convert(output.get("sections", ()), tuple[Section, ...]):
            self.context.add_section(section)

    # -- the end ------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        context = self.context
        if context.is_worker:
            import msgspec

            self.claims.finish_worker()
            sections = msgspec.to_builtins(tuple(context.sections.values()))
            self.config.workeroutput["nanocheck"] = {  # type: ignore[attr-defined]
                **context.to_controller,
                "sections": sections,
            }
        else:
            for suite in self.suites:
                suite.finish()
            finish = getattr(context.opened, "finish", None)
            if finish is not None and self.memory.complete and self.claims.complete:
                finish()
            if context.problems and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = (
                    MachineError.exit_code if context.machine_failed else pytest.ExitCode.TESTS_FAILED
                )
        context.close()

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        context = self.context
        lines = context.messages
        if not lines and not context.problems:
            return
        terminalreporter.section("nanocheck")
        if not self.header_shown and self.memory.report is not None:
            lines = [*header(context), *lines]
        for line in lines:
            terminalreporter.line(disarm(line))
        for problem in context.problems:
            terminalreporter.line(disarm(f"ERROR {scrub(problem)}"), red=True)
        if self.memory.report is not None and os.environ.get("GITHUB_ACTIONS") == "true":
            from nanocheck.report import ci_summary

            for line in ci_summary.annotate(ci_summary.failures(self.memory.report)):
                terminalreporter.line(line)

    def pytest_unconfigure(self) -> None:
        self.context.close()


@pytest.fixture(scope="session")
def nanocheck(request: pytest.FixtureRequest) -> Context:
    """What the suites of this run share: settings, device, ``add_section``, ``messages``."""
    return context_of(request.config)


@pytest.fixture
def gpu_memory() -> GpuMemory:
    """What the test has had of the GPU so far; the test runs on the card of ``--gpu``, in a child process."""
    if not os.environ.get(CHILD):
        pytest.fail(
            "expected `gpu_memory` among the arguments of the test, found it asked for while the test ran: "
            "by then that is a process without the card",
            pytrace=False,
        )
    return GpuMemory()


@pytest.hookimpl(trylast=True)
def pytest_nanocheck_measuring(target: Target, settings: Settings, workers: int) -> Measuring:
    """nanocheck's own harness, unless a project answers first."""
    from nanocheck.pytest_plugin.harness import Harness

    # The workers of pytest-xdist would lock each other out of one journal.
    return Harness(target, settings, workers, keep_journal="PYTEST_XDIST_WORKER" not in os.environ)


def _place(item: pytest.Item) -> int:
    if config_of(item) is not None:
        return 0
    if isinstance(item, ClaimItem):
        return 1
    return 3 if item.get_closest_marker(COMPILED) is not None else 2
