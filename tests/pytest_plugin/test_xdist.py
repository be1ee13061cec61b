"""The plugin under pytest-xdist: several processes, one report."""

from __future__ import annotations

import json

import pytest
from plugin_project import IDS, Project

#: A suite beside the memory suite that adds what its process ran to the report.
OTHER_SUITE = """
import pytest
from nanocheck.report.section import Section

@pytest.fixture(scope="session")
def seen(nanocheck):
    seen = []
    yield seen
    cells = tuple((each,) for each in sorted({*seen, "a"}))
    nanocheck.add_section(Section(title="Other", paragraphs=(), columns=("name",), cells=cells))

@pytest.mark.parametrize("name", "abcd")
def test_other(name, seen):
    seen.append(name)
"""


def on_two_workers(project: Project) -> pytest.RunResult:
    options = (
        "-p",
        "nanocheck.pytest_plugin.plugin",
        "--device",
        "virtual",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
    )
    return project.pytester.runpytest_subprocess(*options, "suites/")


def test_workers_share_one_report(settled: Project) -> None:
    settled.report.unlink()
    result = on_two_workers(settled)
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["4 configurations on * (VIRTUAL): *; baselines: 4 equal.", "report: reports/rtx4070.md"]
    )
    assert sorted(settled.lines("submitted")) == sorted(IDS), "nothing is computed twice"
    assert len(json.loads(settled.report.with_suffix(".json").read_text())["rows"]) == 4


def test_workers_join_their_parts_of_a_section(settled: Project) -> None:
    (settled.path / "suites" / "test_other.py").write_text(OTHER_SUITE)
    on_two_workers(settled).assert_outcomes(passed=8)
    (section,) = json.loads(settled.report.with_suffix(".json").read_text())["sections"]
    assert section["title"] == "Other"
    assert section["cells"] == [["a"], ["b"], ["c"], ["d"]], "each row once, whichever workers had it"
    assert "## Other" in settled.report.read_text()
