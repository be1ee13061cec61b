"""The claims suite from the outside: what a person sees, and what is written."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from plugin_project import Project

# See plugin_project: what an inner pytest imports, the next one would import anew.
import nanocheck.claims.asking
import nanocheck.claims.files
import nanocheck.claims.markdown
import nanocheck.claims.section

SUITE = Path(__file__).resolve().parent.parent / "suites" / "claims" / "test_claims.py"
#: On the fake, batch b peaks at 800 b MiB, and 16 runs out of memory.
CLAIMS = """
[ledger]
title = "Mine"
about = "somebody said it"
[run.eight]
batch = 8
[claim.Z1]
title = "8 fits"
says = "batch 8 needs less than 7 GB"
expected = "confirmed"
confirmed_if = "eight.reserved < 7 * GB"
refuted_if = "eight.reserved >= 7 * GB"
[claim.Z1.quote]
confirmed = "Batch 8 reserves {eight.reserved:MiB.0}."
[claim.Z2]
title = "sixteen fits"
says = "batch 16 fits"
expected = "refuted"
confirmed_if = "sixteen.fits"
refuted_if = "not sixteen.fits"
[claim.Z2.run.sixteen]
batch = 16
[claim.Z2.quote]
refuted = "Batch 16 {sixteen.ending}."
"""
ONLY_MINE = ("suites/claims", "-k", "Z1 or Z2")


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(pytester, monkeypatch)
    folder = made.path / "suites" / "claims"
    folder.mkdir()
    (folder / "test_claims.py").write_text(SUITE.read_text())
    (folder / "mine.toml").write_text(CLAIMS)
    return made


def ledger(project: Project, folder: str = ".nanocheck/reports") -> dict[str, dict[str, str]]:
    text = (project.path / folder / "claims-rtx4070.json").read_text()
    return {claim["id"]: claim for each in json.loads(text)["ledgers"] for claim in each["claims"]}


def test_a_claim_is_added_by_a_file_alone(project: Project) -> None:
    result = project.run(*ONLY_MINE, "-v")
    result.assert_outcomes(passed=2, deselected=18)
    result.stdout.fnmatch_lines(
        [
            "*test_claim[[]Z1[]] PASSED*",
            "2 claims: 1 confirmed, 1 refuted; ledger: .nanocheck/reports/claims-rtx4070.md (a part of the *",
        ]
    )
    assert ledger(project)["Z1"]["sentence"] == "Batch 8 reserves 6,400 MiB."
    assert ledger(project)["Z2"]["verdict"] == "refuted"  # which fails nothing
    page = (project.path / ".nanocheck/reports/claims-rtx4070.md").read_text()
    assert "Batch 16 runs out of memory in its backward, asking for 1,572 MiB." in page
    assert "pytest suites/claims --gpu rtx4070" in page


@pytest.mark.parametrize(
    ("mib", "failed", "told"),
    [(6400, 0, None), (6700, 1, "*Z1: expected the verdict confirmed, found refuted: *does not hold*")],
)
def test_a_verdict_that_changed_fails_exactly_its_test(
    project: Project, mib: int, failed: int, told: str | None
) -> None:
    project.script(b8={"mib": mib})
    result = project.run(*ONLY_MINE)
    result.assert_outcomes(passed=2 - failed, failed=failed, deselected=18)
    if told:
        result.stdout.fnmatch_lines(
            [told, "*eight.reserved = 6,700 MiB*", "*hint: *mine.toml: [[]claim.Z1[]]*"]
        )


def test_a_crash_is_no_verdict(project: Project) -> None:
    project.script(b8={"outcome": "crashed", "detail": "it fell over"})
    result = project.run(*ONLY_MINE)
    result.assert_outcomes(passed=1, failed=1, deselected=18)
    result.stdout.fnmatch_lines(["*expected the verdict confirmed, found cannot tell*", "*it fell over*"])


def test_another_card_expects_nothing(project: Project) -> None:
    result = project.run(*ONLY_MINE, "--gpu", "rtx4090", "-rs")
    result.assert_outcomes(skipped=2, deselected=18)
    result.stdout.fnmatch_lines(["*Z1: confirmed on NVIDIA GeForce RTX 4090; nothing is expected*"])


def test_what_two_suites_need_runs_once(project: Project) -> None:
    project.run("suites/", "--update-baselines", "-k", "test_memory")
    (project.path / "submitted.txt").unlink()
    result = project.run("suites/", "-k", "test_memory or Z1 or Z2")
    result.assert_outcomes(passed=6, deselected=18)
    assert Counter(project.lines("submitted")).most_common(1)[0][1] == 1
    assert (project.path / "reports" / "rtx4070.md").exists()


def test_a_wrong_file_is_told_at_collection(project: Project) -> None:
    (project.path / "suites" / "claims" / "mine.toml").write_text(
        CLAIMS.replace("eight.reserved <", "eigth <")
    )
    result = project.run("suites/claims")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*mine.toml: [[]claim.Z1[]]: confirmed_if: *'eigth'*"])


def test_claims_elsewhere(project: Project) -> None:
    own = project.path / "other.toml"
    (project.path / "suites" / "claims" / "mine.toml").rename(own)
    project.run(*ONLY_MINE).assert_outcomes(deselected=18)
    project.run(*ONLY_MINE, "--nanocheck-claims", "other.toml").assert_outcomes(passed=2, deselected=18)


def test_side_by_side_workers_write_one_ledger(project: Project) -> None:
    plugin = ("-p", "nanocheck.pytest_plugin.plugin", "-p", "no:cacheprovider", "--device", "virtual")
    result = project.pytester.runpytest_subprocess(*plugin, "-n", "2", *ONLY_MINE)
    result.assert_outcomes(passed=2)
    assert set(ledger(project)) == {"Z1", "Z2"}


def test_the_cards_report_holds_the_ledger_and_keeps_it_until_it_is_asked_again(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nanocheck.claims.files, "BUILT_IN", tmp_path)
    project.run("suites/", "--update-baselines")
    report = project.path / "reports" / "rtx4070.md"
    page = report.read_text()
    assert "## What is true of what people say\n\n2 claims: 1 confirmed, 1 refuted" in page
    assert "| Batch 16 runs out of memory in its backward, asking for 1,572 MiB." in page
    assert "[claims-rtx4070.md](claims-rtx4070.md)" in page
    project.run("suites/memory")
    assert report.read_text().count("| Z2 ") == 1
    (project.path / "suites" / "claims" / "mine.toml").write_text(CLAIMS.replace("Batch 16 {", "16 {"))
    project.run("suites/")
    assert "| 16 runs out of memory in its backward" in report.read_text()
