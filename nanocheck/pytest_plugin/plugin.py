"""The pytest plugin: ``pytest suites/ --gpu rtx4070``.

A test that takes ``memory_config`` runs once per configuration of the matrix, under the configuration's
id; one that takes ``memory_row`` also gets what came out. Nothing here imports torch, pandas or tabulate
before a report is written, and a run that collects no such test never notices the plugin.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from nanocheck.core.errors import MachineError, NanocheckError
from nanocheck.pytest_plugin import settings as options
from nanocheck.pytest_plugin.claims import ClaimSuite

if TYPE_CHECKING:
    from nanocheck.core.config import StepConfig
    from nanocheck.core.device import Target
    from nanocheck.pytest_plugin.hooks import Measuring
    from nanocheck.pytest_plugin.session import Session
    from nanocheck.pytest_plugin.settings import Settings
    from nanocheck.report.report_file import Row

_FIXTURE = "memory_config"


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    from nanocheck.pytest_plugin import hooks

    pluginmanager.add_hookspecs(hooks)


def pytest_configure(config: pytest.Config) -> None:
    plugin = _Plugin(config)
    config.pluginmanager.register(plugin, "nanocheck-run")
    config.pluginmanager.register(ClaimSuite(config, plugin), "nanocheck-claims")


class _Plugin:
    """One pytest process: the only one, an xdist worker, or the controller of xdist workers."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.is_worker = hasattr(config, "workerinput")
        self.header_shown = False
        self._session: Session | None = None
        if options.was_given(config):
            self._usage(self._check)

    # -- before anything runs -----------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        if self._session is None:
            from nanocheck.pytest_plugin.session import Session

            self._session = self._usage(lambda: Session(options.Settings.of(self.config)))
        return self._session

    def _check(self) -> None:
        """What can be found wrong before a minute was spent."""
        from nanocheck.core.baselines import refuse_update_in_ci

        if self.session.settings.update:
            refuse_update_in_ci()
        if not self.config.option.help:
            _ = self.session.chosen
            if not self.session.settings.own_matrix:
                _ = self.session.matrix

    def _usage(self, action: Any) -> Any:
        try:
            return action()
        except NanocheckError as error:
            raise pytest.UsageError(f"nanocheck: {error}") from error

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
        return self._usage(lambda: self.session.header())  # type: ignore[no-any-return]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if _FIXTURE in metafunc.fixturenames:
            try:
                entries = self.session.matrix.entries
            except NanocheckError as error:
                raise pytest.Collector.CollectError(f"nanocheck: {error}") from error
            metafunc.parametrize(_FIXTURE, [pytest.param(entry.config, id=entry.id) for entry in entries])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        configs = [config for item in session.items if (config := _config_of(item)) is not None]
        if configs:
            self._usage(lambda: self.session.chosen)
        # An xdist worker is told only piece by piece what it is to run: it submits what it is asked for.
        if configs and not self.is_worker:
            self.session.selected = list({config.id: config for config in configs}.values())

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> list[str]:
        if self.header_shown or not any(_config_of(item) is not None for item in items):
            return []
        self.header_shown = True
        return self._usage(lambda: self.session.header())  # type: ignore[no-any-return]

    # -- one test -----------------------------------------------------------------------------------------

    def measuring(self) -> Measuring:
        """Who measures in this process; opened for the first test that needs it."""
        session = self.session
        if session.measuring is None:
            session.measuring = self.config.hook.pytest_nanocheck_measuring(
                target=session.chosen.target, settings=session.settings, workers=self.workers
            )
        assert session.measuring is not None
        return session.measuring

    @property
    def workers(self) -> int:
        """Configurations at once in this process."""
        return 1 if self.is_worker else self.session.settings.workers

    def answer(self, ask: Callable[[], Any]) -> Any:
        """What ``ask`` gives; its errors fail the test, or end the run where nothing can run here."""
        try:
            return ask()
        except MachineError as error:
            if self.is_worker:
                pytest.fail(f"nanocheck: {error}", pytrace=False)
            pytest.exit(f"nanocheck: {error}", returncode=error.exit_code)
        except NanocheckError as error:
            pytest.fail(f"nanocheck: {error}", pytrace=False)

    def row(self, request: pytest.FixtureRequest, config: StepConfig) -> Row:
        def ask() -> Row:
            self.measuring()
            return self.session.row(config)

        row: Row = self.answer(ask)
        request.node.stash[_ROW] = row
        for name, value in _properties(row).items():
            request.node.user_properties.append((name, value))
        return row

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        report = yield
        row = item.stash.get(_ROW, None)
        if row is not None:
            # As text: attributes of a report travel from an xdist worker to its controller.
            report.nanocheck_row = msgspec.json.encode(row).decode()
            item.stash[_ROW] = None
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = getattr(report, "nanocheck_row", None)
        if text is not None and not self.is_worker:
            from nanocheck.report.report_file import Row

            row = msgspec.json.decode(text, type=Row)
            self.session.rows[row.id] = row

    # -- the end ------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._session is None:
            return
        if self.is_worker:
            plain = msgspec.to_builtins(tuple(self._session.sections.values()))
            self.config.workeroutput["nanocheck_sections"] = plain  # type: ignore[attr-defined]
        else:
            self._session.finish()
            if self._session.problems and session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED
        self._session.close()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """xdist: a worker has ended, before the session does."""
        from nanocheck.report.section import Section

        plain = getattr(node, "workeroutput", {}).get("nanocheck_sections", ())
        for section in msgspec.convert(plain, tuple[Section, ...]):
            self.session.add_section(section)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._session is None:
            return
        lines, problems = self._session.closing_lines(), self._session.problems
        if not lines and not problems:
            return
        terminalreporter.section("nanocheck")
        if not self.header_shown:
            lines = [*self._session.header(), *lines]
        for line in lines:
            terminalreporter.line(line)
        for problem in problems:
            terminalreporter.line(f"ERROR {problem}", red=True)
        for annotation in self._session.annotations():
            terminalreporter.line(annotation)

    def pytest_unconfigure(self) -> None:
        if self._session is not None:
            self._session.close()


_ROW: pytest.StashKey[Any] = pytest.StashKey()


@pytest.hookimpl(trylast=True)
def pytest_nanocheck_measuring(target: Target, settings: Settings, workers: int) -> Measuring:
    """nanocheck's own harness, unless a project answers first."""
    from nanocheck.pytest_plugin.session import Harness

    # The workers of pytest-xdist would lock each other out of one journal.
    return Harness(target, settings, workers, keep_journal="PYTEST_XDIST_WORKER" not in os.environ)


@pytest.fixture
def memory_row(memory_config: StepConfig, request: pytest.FixtureRequest) -> Row:
    """What came out of the configuration: its result, verdict and comparison with the baseline."""
    plugin = request.config.pluginmanager.get_plugin("nanocheck-run")
    assert isinstance(plugin, _Plugin)
    return plugin.row(request, memory_config)


def _config_of(item: pytest.Item) -> StepConfig | None:
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(_FIXTURE)


def _properties(row: Row) -> dict[str, object]:
    return {
        "config_id": row.id,
        "provenance": row.provenance,
        "verdict": row.verdict.kind.value,
        "peak_allocated_bytes": row.result.main.allocated_bytes,
        "peak_reserved_bytes": row.result.main.reserved_bytes,
        "headroom_bytes": "" if row.verdict.headroom_bytes is None else row.verdict.headroom_bytes,
    }
