"""How suites that train join a run."""

from __future__ import annotations

import pytest
from plugin_project import Project

STALE = """
import pytest

@pytest.mark.parametrize("number", range(5))
def test_curve(number, stale_curve):
    stale_curve("torch 2.14, here 2.15" if number else "another text")
"""


@pytest.fixture
def project(project: Project) -> Project:
    (project.path / "suites" / "test_curves.py").write_text(STALE)
    return project


def test_stale_curves_are_told_in_one_line_for_each_reason(project: Project) -> None:
    result = project.run("suites/test_curves.py")
    result.assert_outcomes(passed=5, warnings=0)
    lines = [line for line in result.stdout.lines if "another environment" in line]
    assert sorted(lines) == [
        "1 stored loss curve is of another environment: another text",
        "4 stored loss curves are of another environment: torch 2.14, here 2.15",
    ]


def test_they_are_counted_over_the_workers_of_xdist(project: Project) -> None:
    plugin = ("-p", "nanocheck.pytest_plugin.plugin", "-p", "no:cacheprovider", "--device", "virtual")
    result = project.pytester.runpytest_subprocess(*plugin, "-n", "2", "suites/test_curves.py")
    result.stdout.fnmatch_lines(["4 stored loss curves are of another environment: *"])


def test_a_run_that_names_no_plan_trains_nothing_and_adds_no_section(project: Project) -> None:
    (project.path / "suites" / "test_curves.py").write_text(
        "def test_it(nanocheck): assert not nanocheck.sections\n"
    )
    project.run("suites/test_curves.py").assert_outcomes(passed=1)
