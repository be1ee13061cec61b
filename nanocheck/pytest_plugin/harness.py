"""nanocheck's own measuring in a pytest run: fork server, a line of progress, a journal for interruptions."""

from __future__ import annotations

import contextlib

from nanocheck.core.device import Target
from nanocheck.core.errors import StoredDataError
from nanocheck.core.fingerprint import fingerprint
from nanocheck.fleet.choose import cluster_at, measurement
from nanocheck.process.journal import Journal
from nanocheck.pytest_plugin.settings import Settings
from nanocheck.report.progress import Progress


class Harness:
    """A ``Measuring``.

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
        self._cluster = contextlib.ExitStack()
        cluster = self._cluster.enter_context(cluster_at(settings.ray, workers))
        self._measurement = measurement(
            target, cluster=cluster, journal=self.journal, workers=workers, progress=self._progress
        )
        self.submit = self._measurement.submit

    def close(self) -> None:
        self._progress.clear()
        self._measurement.close()
        self._cluster.close()
        if self.journal is not None:
            self.journal.close()

    def finish(self) -> None:
        """Nothing was interrupted: what the journal holds must not pass for a later run's result."""
        if self.journal is not None:
            self.journal.discard()
