"""What came out of the memory suite: rows with verdict and comparison, and the update of their baselines."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from nanocheck.core.comparison import Comparison
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import NanocheckError, RequestError
from nanocheck.core.matrix import Matrix, load_matrix
from nanocheck.core.result import RunResult
from nanocheck.core.verdict import classify, leaks
from nanocheck.pytest_plugin.baselines import Baselines, Update
from nanocheck.pytest_plugin.hooks import Measuring
from nanocheck.pytest_plugin.settings import Settings
from nanocheck.report.report_file import Row


class MemoryResults:
    """The rows of one process.

    Attributes:
        rows: what came out so far, by configuration id. selected: what will be asked for.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.baselines = Baselines(settings.baselines, settings.command_options, settings.card.margin_bytes)
        self.rows: dict[str, Row] = {}
        self.selected: list[StepConfig] = []
        self._submitted: set[str] = set()

    @functools.cached_property
    def matrix(self) -> Matrix:
        """
        Raises:
            RequestError: see ``load_matrix``.
        """
        return load_matrix(self.settings.matrix)

    def row(self, config: StepConfig, measuring: Measuring) -> Row:
        """Waits for a configuration, judges it and compares it.

        The first call submits all selected ones, so that the workers never wait for a test.

        Raises:
            MachineError: nothing can run here.
            StoredDataError: the baseline is damaged.
        """
        for each in [*self.selected, config]:
            if each.id not in self._submitted:
                self._submitted.add(each.id)
                measuring.submit(each)
        result = measuring.submit(config).result()
        row = Row(
            result=result,
            verdict=classify(result, self.settings.card.margin_bytes),
            comparison=self._compare(result),
            why=next((entry.why for entry in self.matrix.entries if entry.id == config.id), ""),
        )
        self.rows[row.id] = row
        return row

    def _compare(self, result: RunResult) -> Comparison | None:
        return None if self.settings.update else self.baselines.compare(result)

    # -- the end ------------------------------------------------------------------------------------------

    @property
    def known(self) -> tuple[str, ...]:
        """Ids of the matrix; none where it cannot be read."""
        try:
            return self.matrix.ids
        except RequestError:
            return ()

    @property
    def whole(self) -> bool:
        """Whether the whole matrix ran."""
        return bool(self.known) and set(self.known) <= set(self.rows)

    def in_order(self) -> tuple[Row, ...]:
        """The rows as the matrix orders them."""
        order = {name: index for index, name in enumerate(self.known)}
        return tuple(sorted(self.rows.values(), key=lambda row: order.get(row.id, len(order))))

    def update(self) -> str:
        """Accepts all rows as what is expected, and says what changed.

        Raises:
            RequestError: a step that leaks, or a run without an answer.
            StoredDataError: the stored baselines are damaged and this is not a run of the whole matrix.
        """
        rows = self.in_order()
        for row in rows:
            leak = leaks(row.result)
            if leak is not None:
                raise RequestError(
                    f"{row.id}: expected a steady step to store as its baseline, found {leak}",
                    hint="fix the leak first; nothing was written",
                )
        keep_only = self.known if self.whole and self.settings.own_matrix else None
        return self._describe(self.baselines.update((row.result for row in rows), keep_only=keep_only))

    def _describe(self, update: Update) -> str:
        where = ", ".join(self.settings.relative(path) for path in update.paths)
        return (
            f"baselines: {update.created} created, {update.changed} changed, {update.unchanged} unchanged, "
            f"{update.removed} removed in {where}; look at the diff and commit it"
        )

    def compare_again(self) -> None:
        """After an update: every row against what is expected now."""
        for name, row in self.rows.items():
            try:
                comparison = self.baselines.compare(row.result)
            except NanocheckError:
                comparison = None
            self.rows[name] = msgspec.structs.replace(row, comparison=comparison)

    def unused(self) -> str | None:
        """Which baselines are no longer in the matrix, and the command that removes them."""
        rows: Sequence[Row] = self.in_order()
        names = self.baselines.unused([row.result for row in rows], self.known)
        if not names:
            return None
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        hint = self.baselines.hint(rows[0].result)
        return f"{len(names)} unused, no longer in the matrix: {shown}; to remove: {hint}"
