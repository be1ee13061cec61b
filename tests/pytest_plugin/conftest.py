"""A project of somebody's own, in which pytest runs with the plugin."""

from __future__ import annotations

import pytest
from plugin_project import Project


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    return Project(pytester, monkeypatch)


@pytest.fixture
def settled(project: Project) -> Project:
    """Its baselines are stored."""
    return project.settle()
