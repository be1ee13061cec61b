"""The memory suite in pytest: one test per configuration of the matrix, baselines, the report of the card.

A test that takes ``memory_config`` runs once per configuration, under the configuration's id; one that takes
``memory_row`` also gets what came out.
"""

from __future__ import annotations

import datetime
import functools
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from nanocheck.core.errors import NanocheckError
from nanocheck.core.scrub import disarm, scrub
from nanocheck.core.units import mib_span
from nanocheck.pytest_plugin.context import Context

if TYPE_CHECKING:
    from nanocheck.core.config import StepConfig
    from nanocheck.pytest_plugin.memory_results import MemoryResults
    from nanocheck.report.report_file import Report, Row

_FIXTURE = "memory_config"
_ROW = "memory row"


class MemorySuite:
    """One pytest process; joins the run through its context."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.report: Report | None = None
        context.receive(_ROW, _row_type, self._keep)

    @functools.cached_property
    def results(self) -> MemoryResults:
        from nanocheck.pytest_plugin.memory_results import MemoryResults

        return MemoryResults(self.context.settings)

    def _keep(self, row: Row) -> None:
        self.results.rows[row.id] = row

    # -- collection ---------------------------------------------------------------------------------------

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if _FIXTURE in metafunc.fixturenames:
            try:
                entries = self.results.matrix.entries
            except NanocheckError as error:
                raise pytest.Collector.CollectError(f"nanocheck: {error}") from error
            metafunc.parametrize(_FIXTURE, [pytest.param(entry.config, id=entry.id) for entry in entries])

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        configs = [config for item in session.items if (config := config_of(item)) is not None]
        if configs:
            _ = self.context.selected_card
        # An xdist worker is told only piece by piece what it is to run: it submits what it is asked for.
        if configs and not self.context.is_worker:
            self.results.selected = list({config.id: config for config in configs}.values())

    # -- one test -----------------------------------------------------------------------------------------

    @pytest.fixture
    def memory_row(self, memory_config: StepConfig, request: pytest.FixtureRequest) -> Row:
        """What came out of the configuration: its result, verdict and comparison with the baseline."""
        context = self.context
        row: Row = context.answer(lambda: self.results.row(memory_config, context.measuring()))
        context.attach(request.node, _ROW, row)
        for name, value in _properties(row).items():
            request.node.user_properties.append((name, value))
        return row

    # -- the end ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Updates baselines where asked, writes the report, and collects what the terminal shows."""
        if "results" not in self.__dict__ or not self.results.rows:
            return
        context, results, settings = self.context, self.results, self.context.settings
        lines: list[str] = []
        if settings.update:
            context.guarded(lambda: lines.append(results.update()))
            results.compare_again()
        elif results.whole and settings.own_matrix:
            context.guarded(lambda: lines.extend(filter(None, [results.unused()])))
        self.report = report = self._report()
        context.guarded(lambda: lines.append(self._write(report)))
        context.messages += _closing_lines(report, lines)

    @property
    def complete(self) -> bool:
        """Whether everything that was selected was answered."""
        if "results" not in self.__dict__:
            return True
        return all(config.id in self.results.rows for config in self.results.selected)

    def _report(self) -> Report:
        from nanocheck.pytest_plugin import report_writer
        from nanocheck.report.report_file import Report

        context, settings = self.context, self.context.settings
        report = Report(
            date=datetime.date.today().isoformat(),
            command=settings.command,
            margin_bytes=settings.card.margin_bytes,
            rows=self.results.in_order(),
            whole=self.results.whole,
            sections=tuple(context.sections.values()),
        )
        return report_writer.with_stored_sections(report, settings)

    def _write(self, report: Report) -> str:
        from nanocheck.pytest_plugin import report_writer

        where = report_writer.write(report, self.context.settings)
        report_writer.write_job_summary(report)
        return where


def _closing_lines(report: Report, lines: list[str]) -> list[str]:
    """One counted sentence, what was written, and the commands that fix what failed."""
    from nanocheck.report import ci_summary

    compared = [row.comparison for row in report.rows if row.comparison is not None]
    hints = Counter((each.kind, each.hint) for each in compared if each.hint)
    found = [f"{ci_summary.sentence(report)}.", *lines]
    found += [f"{count} {kind}: {hint}" for (kind, hint), count in hints.items()]
    if compared and all(each.kind in ("drifted", "stale") for each in compared):
        held = sum(each.kind == "drifted" for each in compared)
        found.append(
            f"NO BYTES WERE COMPARED, {held} VERDICTS HOLD: there is no baseline of this environment; in CI: "
            "--nanocheck-stale=fail"
        )
    return found


def header(context: Context) -> list[str]:
    """Every effective setting, and first of all whether anything will be measured."""
    device, why = context.selected.target.device, context.selected.why
    how = "MEASURED on a real GPU" if context.selected.is_real else "VIRTUAL: no GPU runs anything"
    kinds = {each.device.gpu: each.device for each in context.selected.target.machine} or {device.gpu: device}
    names = ", ".join(each.name for each in kinds.values())
    lines = [f"nanocheck: {context.settings.card.gpu} ({names}), {device.platform}: {how} ({why})"]
    for each in kinds.values():
        cuda = mib_span(each.context_bytes, each.context_most_bytes)
        capacity = mib_span(each.sure_capacity_bytes, each.capacity_bytes)
        which = f"{each.gpu}: " if len(kinds) > 1 else ""
        lines.append(f"nanocheck: {which}capacity {capacity} MiB, context {cuda} MiB")
    lines += context.settings.lines()
    return [disarm(scrub(line)) for line in lines]


def config_of(item: pytest.Item) -> StepConfig | None:
    """The configuration that a test runs."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(_FIXTURE)


def _row_type() -> type[Row]:
    from nanocheck.report.report_file import Row

    return Row


def _properties(row: Row) -> dict[str, object]:
    headroom = row.verdict.headroom_bytes
    return {
        "config_id": row.id,
        "provenance": row.provenance,
        "verdict": row.verdict.kind.value,
        "peak_allocated_bytes": row.result.main.allocated_bytes,
        "peak_reserved_bytes": row.result.main.reserved_bytes,
        "headroom_bytes": "" if headroom is None else headroom,
    }
