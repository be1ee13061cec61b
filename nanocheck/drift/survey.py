"""The whole table: every thing with every release."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence

from nanocheck.core.drift import Row
from nanocheck.drift.interpreters import Interpreter
from nanocheck.drift.runs import Asked, Ran, Runs
from nanocheck.drift.subjects import Subject
from nanocheck.drift.table import rows_of


def survey(
    subjects: Sequence[Subject], pythons: Sequence[Interpreter], runs: Runs
) -> tuple[tuple[Row, ...], bool]:
    """Rows in the order of the subjects, and whether all of it ran; after Ctrl-C what there was until then.

    Raises:
        StoredDataError: the journal holds a malformed record.
    """
    names = {id(subject): number for number, subject in enumerate(subjects)}
    found: dict[int, dict[str, Ran]] = defaultdict(dict)
    # A release at a time would leave every row unfinished until the last one.
    asked = [Asked(subject=subject, python=python) for subject in subjects for python in pythons]
    complete = False
    with contextlib.suppress(KeyboardInterrupt):
        for one, ran in runs.results(asked):
            found[names[id(one.subject)]][one.python.torch.version] = ran
        complete = True
    rows = [
        row
        for number, subject in enumerate(subjects)
        if found[number]
        for row in rows_of(subject, found[number])
    ]
    return tuple(rows), complete
