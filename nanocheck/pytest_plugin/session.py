"""One pytest run: submits what was selected, judges what comes back, and in the end writes and counts."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from nanocheck.core.comparison import Comparison
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device, Target
from nanocheck.core.device_selection import SelectedDevice
from nanocheck.core.errors import NanocheckError, RequestError, StoredDataError
from nanocheck.core.files import write_atomically
from nanocheck.core.fingerprint import fingerprint
from nanocheck.core.matrix import Entry, Matrix, load_matrix
from nanocheck.core.result import RunResult
from nanocheck.core.units import MIB, mib
from nanocheck.core.verdict import classify, leaks
from nanocheck.measure.configurations import Measurement
from nanocheck.process.journal import Journal
from nanocheck.pytest_plugin.baselines import Baselines, Update
from nanocheck.pytest_plugin.hooks import Measuring
from nanocheck.pytest_plugin.settings import Settings
from nanocheck.report import ci_summary, report_file
from nanocheck.report.progress import Progress
from nanocheck.report.report_file import Report, Row
from nanocheck.report.section import Section


class Harness:
    """nanocheck's own measuring: the harness, and a journal for runs that are interrupted.

    Args:
        keep_journal: off where several processes of one run would share the file.
    """

    def __init__(self, target: Target, settings: Settings, workers: int, *, keep_journal: bool) -> None:
        self.journal: Journal | None = None
        if keep_journal:
            path = settings.journal / f"journal-{settings.card.gpu}.jsonl"
            if settings.fresh:
                with contextlib.suppress(StoredDataError):  # damaged: --nanocheck-fresh is the remedy
                    Journal(path, fingerprint()).discard()
                path.unlink(missing_ok=True)
            self.journal = Journal(path, fingerprint())
        self._progress = Progress()
        self._measurement = Measurement(
            target, journal=self.journal, workers=workers, progress=self._progress
        )
        self.submit = self._measurement.submit

    def close(self) -> None:
        self._progress.clear()
        self._measurement.close()
        if self.journal is not None:
            self.journal.close()

    def finish(self) -> None:
        """Nothing was interrupted: what the journal holds must not pass for a later run's result."""
        if self.journal is not None:
            self.journal.discard()


class Session:
    """State of one pytest run, or of one of its xdist workers.

    Attributes:
        rows: what came out so far, by configuration id.
        messages: what the terminal shows in the end, beside the counts.
        problems: why writing in the end failed.
        sections: what other suites of this run add to the report, by title.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rows: dict[str, Row] = {}
        self.messages: list[str] = []
        self.problems: list[str] = []
        self.sections: dict[str, Section] = {}
        self.report: Report | None = None
        self.baselines = Baselines(settings.baselines, settings.command_options)
        self.selected: list[StepConfig] = []
        self.measuring: Measuring | None = None
        self._matrix: Matrix | None = None
        self._chosen: SelectedDevice | None = None
        self._submitted: set[str] = set()

    @property
    def matrix(self) -> Matrix:
        """
        Raises:
            RequestError: see ``load_matrix``.
        """
        if self._matrix is None:
            self._matrix = load_matrix(self.settings.matrix)
        return self._matrix

    @property
    def chosen(self) -> SelectedDevice:
        """
        Raises:
            RequestError, MachineError: see ``CardQuestion.select``.
        """
        if self._chosen is None:
            self._chosen = self.settings.card.select()
        return self._chosen

    def header(self) -> list[str]:
        """Every effective setting, and first of all whether anything will be measured."""
        device, why = self.chosen.target.device, self.chosen.why
        how = "MEASURED on a real GPU" if self.chosen.is_real else "VIRTUAL: no GPU runs anything"
        return [
            f"nanocheck: {device.gpu} ({device.name}), {device.platform}: {how} ({why})",
            f"nanocheck: capacity {mib(device.capacity_bytes)} MiB, context {mib(device.context_bytes)} MiB",
            *self.settings.lines(),
        ]

    def row(self, config: StepConfig) -> Row:
        """Waits for a configuration, judges it and compares it.

        The first call submits all selected ones, so that the workers never wait for a test.

        Raises:
            MachineError: nothing can run here.
            StoredDataError: the baseline is damaged.
        """
        assert self.measuring is not None
        for each in [*self.selected, config]:
            if each.id not in self._submitted:
                self._submitted.add(each.id)
                self.measuring.submit(each)
        result = self.measuring.submit(config).result()
        row = Row(
            result=result,
            verdict=classify(result, self.settings.card.margin_bytes),
            comparison=self._compare(result),
            why=next((entry.why for entry in self._entries() if entry.id == config.id), ""),
        )
        self.rows[config.id] = row
        return row

    def _entries(self) -> Sequence[Entry]:
        return self.matrix.entries

    def _compare(self, result: RunResult) -> Comparison | None:
        return None if self.settings.update else self.baselines.compare(result)

    # -- the end ------------------------------------------------------------------------------------------

    def finish(self) -> None:
        """Updates baselines where asked, writes the report, and collects what the terminal shows."""
        if not self.rows:
            return
        try:
            known = self.matrix.ids
        except RequestError:
            known = ()
        order = {name: index for index, name in enumerate(known)}
        rows = tuple(sorted(self.rows.values(), key=lambda row: order.get(row.id, len(order))))
        whole = bool(known) and set(known) <= set(self.rows)
        if self.settings.update:
            self._guarded(lambda: self._update(rows, known if whole and self.settings.own_matrix else None))
            rows = tuple(self._compared(row) for row in rows)
        elif whole and self.settings.own_matrix:
            self._guarded(lambda: self._report_unused(rows, known))
        self.report = Report(
            date=datetime.date.today().isoformat(),
            command=self.settings.command,
            margin_bytes=self.settings.card.margin_bytes,
            rows=rows,
            whole=whole,
            sections=self._sections(rows[0].result.device),
        )
        self._guarded(self._write)
        if all(config.id in self.rows for config in self.selected) and isinstance(self.measuring, Harness):
            self.measuring.finish()

    def _guarded(self, action: Callable[[], None]) -> None:
        try:
            action()
        except NanocheckError as error:
            self.problems.append(str(error))

    def _compared(self, row: Row) -> Row:
        try:
            comparison = self.baselines.compare(row.result)
        except NanocheckError:
            comparison = None
        return msgspec.structs.replace(row, comparison=comparison)

    def _update(self, rows: Sequence[Row], keep_only: Sequence[str] | None) -> None:
        for row in rows:
            leak = leaks(row.result)
            if leak is not None:
                raise RequestError(
                    f"{row.id}: expected a steady step to store as its baseline, found {leak}",
                    hint="fix the leak first; nothing was written",
                )
        update = self.baselines.update((row.result for row in rows), keep_only=keep_only)
        self.messages.append(self._update_summary(update))

    def _update_summary(self, update: Update) -> str:
        where = ", ".join(self.settings.relative(path) for path in update.paths)
        return (
            f"baselines: {update.created} created, {update.changed} changed, {update.unchanged} unchanged, "
            f"{update.removed} removed in {where}; look at the diff and commit it"
        )

    def _report_unused(self, rows: Sequence[Row], known: Sequence[str]) -> None:
        results = [row.result for row in rows]
        unused = self.baselines.unused(results, known)
        if unused:
            names = ", ".join(unused[:5]) + (f" and {len(unused) - 5} more" if len(unused) > 5 else "")
            self.messages.append(
                f"{len(unused)} unused, no longer in the matrix: {names}; "
                f"to remove: {self.baselines.hint(results[0])}"
            )

    def add_section(self, section: Section) -> None:
        """What another suite of this run has for the report; its parts from several processes are joined."""
        known = self.sections.get(section.title)
        self.sections[section.title] = section if known is None else known.joined(section)

    def _sections(self, device: Device) -> tuple[Section, ...]:
        """What other suites found in this run; what it did not ask stays as the stored report has it."""
        stored: tuple[Section, ...] = ()
        with contextlib.suppress(StoredDataError):  # none yet, or damaged: this run writes it anew
            stored = report_file.load(self.settings.reports / f"{report_name(device)}.json").sections
        found = {**{each.title: each for each in stored}, **self.sections}
        return tuple(found[title] for title in sorted(found))

    def _write(self) -> None:
        from nanocheck.report import memory_report  # pandas: only once there is something to report

        assert self.report is not None
        settings = self.settings
        replaces = self.report.whole and settings.own_matrix
        folder = settings.reports if replaces else settings.journal / "reports"
        page = memory_report.render(self.report)
        path = folder / f"{report_name(self.report.rows[0].result.device)}.md"
        write_atomically(path, page)
        write_atomically(path.with_suffix(".json"), report_file.dumps(self.report))
        if replaces:
            self.messages.append(f"report: {settings.relative(path)}")
        else:
            part = "another matrix" if self.report.whole else "a part of the matrix"
            kept = settings.relative(settings.reports / path.name)
            self.messages.append(f"report on {part}: {settings.relative(path)} ({kept} was not replaced)")
        self._write_job_summary(page)

    def _write_job_summary(self, page: str) -> None:
        target = os.environ.get("GITHUB_STEP_SUMMARY")
        if not target or self.report is None:
            return
        path = Path(target)
        try:
            used = path.stat().st_size if path.exists() else 0
            room = ci_summary.SUMMARY_LIMIT_BYTES - 1 - used
            with path.open("a", encoding="utf-8") as stream:
                stream.write(ci_summary.job_summary(self.report, page, room_bytes=room))
        except OSError as error:
            self.problems.append(f"GITHUB_STEP_SUMMARY: cannot write {path}: {error.strerror or error}")

    def closing_lines(self) -> list[str]:
        """One counted sentence, what was written, and the commands that fix what failed."""
        if self.report is None:
            return []
        lines = [f"{ci_summary.sentence(self.report)}.", *self.messages]
        hints = Counter(
            (row.comparison.kind, row.comparison.hint)
            for row in self.report.rows
            if row.comparison is not None and row.comparison.hint
        )
        return lines + [f"{count} {kind}: {hint}" for (kind, hint), count in hints.items()]

    def annotations(self) -> list[str]:
        """GitHub's, where GitHub runs this."""
        if self.report is None or os.environ.get("GITHUB_ACTIONS") != "true":
            return []
        return ci_summary.annotate(ci_summary.failures(self.report))

    def close(self) -> None:
        """Ends whatever still runs. Idempotent."""
        if self.measuring is not None:
            self.measuring.close()


def report_name(device: Device) -> str:
    """The report's file name: the card's id, and what else decides how much memory there is."""
    name = device.gpu
    if device.platform != "linux":
        name += f"-{device.platform}"
    if device.reserve_bytes:
        name += f"-reserve{device.reserve_bytes / MIB:g}MiB"
    if device.capped_from:
        name += "-capped"
    return "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
