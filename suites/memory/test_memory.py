"""Does it still need exactly the memory it is known to need? One test per configuration of ``matrix.toml``.

An out-of-memory that was expected passes: whether a configuration fits is the report's answer, and whether
a change moved it is this suite's.
"""

from __future__ import annotations

from typing import NoReturn

import pytest

from nanocheck.core.scrub import disarm, scrub
from nanocheck.core.verdict import leaks
from nanocheck.pytest_plugin.context import Context
from nanocheck.report.report_file import Row


def test_memory(memory_row: Row, nanocheck: Context) -> None:
    result, comparison = memory_row.result, memory_row.comparison
    if result.outcome in ("crashed", "timeout"):
        _fail(f"{result.id}: {memory_row.verdict}\n{result.detail}")
    leak = leaks(result)
    if leak is not None:
        _fail(f"{result.id}: no steady state: {leak}")
    if comparison is None:
        return  # --update-baselines: this run says what is expected
    if comparison.fails:
        _fail(f"{comparison.sentence}\n  hint: {comparison.hint}")
    if comparison.kind in ("drifted", "stale") and nanocheck.settings.stale == "fail":
        _fail(f"{comparison.sentence}\n  hint: {comparison.hint}")
    if comparison.kind == "stale":
        pytest.skip(f"{comparison.sentence}; to compare again: {comparison.hint}")


def _fail(text: str) -> NoReturn:
    """In words that may be those of a child or of a baseline: the log must obey none of them."""
    pytest.fail(disarm(scrub(text)), pytrace=False)
