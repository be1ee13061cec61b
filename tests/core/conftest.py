"""Shared by the tests of baselines and of comparisons with them."""

from __future__ import annotations

import pytest


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """CI refuses to store baselines."""
    monkeypatch.delenv("CI", raising=False)
