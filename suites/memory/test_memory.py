"""Does it still need exactly the memory it is known to need? One test per configuration of ``matrix.toml``.

An out-of-memory that was expected passes: whether a configuration fits is the report's answer, and whether
a change moved it is this suite's.
"""

from __future__ import annotations

import pytest

from nanocheck.core.verdict import leaks
from nanocheck.pytest_plugin.context import Context
from nanocheck.report.report_file import Row


def test_memory(memory_row: Row, nanocheck: Context) -> None:
    result, comparison = memory_row.result, memory_row.comparison
    if result.outcome in ("crashed", "timeout"):
        pytest.fail(f"{result.id}: {memory_row.verdict}\n{result.detail}", pytrace=False)
    leak = leaks(result)
    if leak is not None:
        pytest.fail(f"{result.id}: no steady state: {leak}", pytrace=False)
    if comparison is None:
        return  # --update-baselines: this run says what is expected
    if comparison.fails:
        pytest.fail(f"{comparison.sentence}\n  hint: {comparison.hint}", pytrace=False)
    if comparison.kind in ("drifted", "stale") and nanocheck.settings.stale == "fail":
        pytest.fail(f"{comparison.sentence}\n  hint: {comparison.hint}", pytrace=False)
    if comparison.kind == "stale":
        pytest.skip(f"{comparison.sentence}; to compare again: {comparison.hint}")
