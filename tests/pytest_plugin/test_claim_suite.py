"""Claims in pytest from the outside: what a person sees, and what is written."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import fake_measuring
import pytest
from plugin_project import Project

# See plugin_project: what an inner pytest imports, the next one would import anew.
import nanocheck.claims.claim
import nanocheck.measuring.several_devices
import nanocheck.report.ledger_markdown  # noqa: F401
from nanocheck.claims.finding import Finding
from nanocheck.report import ledger

#: On the fake, batch b peaks at 800 b MiB, and 16 runs out of memory.
CLAIMS = """
from nanocheck.claims.claim import Note

NOTE = Note(title="Mine", about="somebody said it", gpu="rtx4070")


@NOTE.claim("Z1", "batch 8 needs less than 7 GB", expected="confirmed", runs={"eight": {"batch": 8}})
def eight_fits(c):
    limit = c.said("limit", 7, "GB")
    return c.decide(
        confirmed=c.eight.reserved < limit, sentence=f"Batch 8 reserves {c.eight.reserved:MiB.0}."
    )


@NOTE.claim("Z2", "batch 16 fits", expected="refuted", runs={"sixteen": {"batch": 16}})
def sixteen_fits(c):
    return c.decide(confirmed=c.sixteen.fits, sentence=f"Batch 16 {c.sixteen.ending}.")
"""
ARITHMETIC = """
from nanocheck.claims.claim import Note

NOTE = Note(title="Another", about="others said it")


@NOTE.claim("C1", "2 + 2 is 4", expected="confirmed")
def sums(c):
    return c.decide(confirmed=c.said("two", 2) + 2 == 4, sentence="It is 4.")
"""


@pytest.fixture
def project(project: Project) -> Project:
    (project.path / "suites" / "claims").mkdir()
    write(project, CLAIMS)
    return project


def write(project: Project, text: str, name: str = "test_mine.py") -> Path:
    path = project.path / "suites" / "claims" / name
    path.write_text(text)
    return path


def findings(project: Project, folder: str = "reports") -> dict[str, Finding]:
    found = ledger.load(project.path / folder / "claims-rtx4070.json")
    assert found is not None
    return {each.id: each for each in found.findings}


PART = ".nanocheck/reports"


def test_a_claim_is_a_test_of_its_own(project: Project) -> None:
    result = project.run("suites/claims", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        [
            "suites/claims/test_mine.py::Z1 PASSED*",
            "suites/claims/test_mine.py::Z2 PASSED*",
            "2 claims: 1 confirmed, 1 refuted; ledger: reports/claims-rtx4070.md",
        ]
    )
    assert findings(project)["Z1"].sentence == "Batch 8 reserves 6,400 MiB."
    assert findings(project)["Z2"].verdict == "refuted"  # which fails nothing
    page = (project.path / "reports/claims-rtx4070.md").read_text()
    assert "Batch 16 runs out of memory in its backward, asking for 1,572 MiB." in page
    assert "torch 2.14.1+cu130" in page
    assert "```\npytest suites/claims --gpu rtx4070 --device virtual\n```" in page


@pytest.mark.parametrize("selection", ["Z2", "sixteen_fits"])
def test_selected_by_id_or_by_name(project: Project, selection: str) -> None:
    project.run("suites/claims", "-k", selection).assert_outcomes(passed=1, deselected=1)
    assert set(findings(project, PART)) == {"Z2"}
    assert project.lines("submitted") == ["gpt2-768-b16-a1-bf16-eager"]


def test_all_runs_are_submitted_before_the_first_is_waited_for(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr(fake_measuring, "_write", lambda name, _: order.append(name))
    project.run("suites/claims")
    assert order[:4] == ["submitted", "submitted", "waited", "waited"]


@pytest.mark.parametrize("mib", [6400, 6700])
def test_a_verdict_that_changed_fails_exactly_its_test(project: Project, mib: int) -> None:
    project.script(b8={"mib": mib})
    result = project.run("suites/claims")
    failed = int(mib == 6700)
    result.assert_outcomes(passed=2 - failed, failed=failed)
    if failed:
        result.stdout.fnmatch_lines(
            [
                "Z1: expected the verdict confirmed, found refuted: *does not hold*",
                "*eight.reserved = 6,700 MiB*",
                "*hint: look at what changed; if it is right, edit test_mine.py:7: claim Z1",
            ]
        )
        assert "Traceback" not in result.stdout.str()
        assert findings(project)["Z1"].as_expected is False


def test_a_crash_is_no_verdict(project: Project) -> None:
    project.script(b8={"outcome": "crashed", "detail": "it fell over"})
    result = project.run("suites/claims")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*expected the verdict confirmed, found cannot tell*could not be checked*it fell over.", "*unknown"]
    )


def test_nothing_is_expected_on_another_card(project: Project) -> None:
    result = project.run("suites/claims", "--gpu", "rtx4090", "-rs")
    result.assert_outcomes(skipped=2)
    result.stdout.fnmatch_lines(["*Z1: confirmed on NVIDIA GeForce RTX 4090; nothing is expected*"])
    assert (project.path / "reports" / "claims-rtx4090.json").exists()


def test_what_two_suites_need_runs_once(project: Project) -> None:
    project.run("suites/memory", "--update-baselines")
    (project.path / "submitted.txt").unlink()
    project.run("suites/").assert_outcomes(passed=6)
    assert Counter(project.lines("submitted")).most_common(1)[0][1] == 1
    assert (project.path / "reports" / "rtx4070.md").exists()


def test_properties_for_junit(project: Project) -> None:
    project.run("suites/claims", "--junit-xml", "out.xml")
    case = ET.parse(project.path / "out.xml").getroot().find(".//testcase[@name='Z2']")
    assert case is not None
    found = {each.get("name"): each.get("value") for each in case.iter("property")}
    assert found == {
        "claim": "Z2",
        "verdict": "refuted",
        "provenance": "virtual",
        "sentence": "Batch 16 runs out of memory in its backward, asking for 1,572 MiB.",
    }


# --- mistakes ----------------------------------------------------------------------------------------------


def test_a_mistake_shows_at_collection(project: Project) -> None:
    write(project, CLAIMS.replace("c.eight.reserved <", "c.eigth.reserved <"))
    result = project.run("suites/claims")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "nanocheck: test_mine.py:7: claim Z1: c.eigth: expected a name under runs= or configs=, *'eigth'",
            "*hint: write one of eight",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert not project.lines("submitted")


def test_a_field_that_no_configuration_has(project: Project) -> None:
    write(project, CLAIMS.replace('{"batch": 16}', '{"bach": 16}'))
    result = project.run("suites/claims")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*test_mine.py:15: claim Z2: sixteen: expected fields of a configuration, found 'bach'",
            "*write batch",
        ]
    )


def test_an_id_is_given_once(project: Project) -> None:
    write(project, ARITHMETIC.replace("C1", "Z2"), "test_other.py")
    result = project.run("suites/claims")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["nanocheck: test_other.py:7: claim Z2: expected an id of its own, found that of test_mine*Z2"]
    )


def test_a_claim_that_another_module_imports_is_one_test(project: Project) -> None:
    folder = project.path / "suites" / "claims"
    (folder / "conftest.py").write_text("import sys\nsys.path.insert(0, __file__.rpartition('/')[0])\n")
    write(project, "from test_mine import eight_fits\nagain = eight_fits\n", "test_other.py")
    project.run("suites/claims").assert_outcomes(passed=2)


def test_rules_that_contradict_each_other(project: Project) -> None:
    write(
        project, CLAIMS.replace("confirmed=c.eight.reserved < limit", "confirmed=True, refuted=c.eight.fits")
    )
    result = project.run("suites/claims")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*claim Z1: c.decide(): expected rules of which at most one holds*"])


# --- the ledger --------------------------------------------------------------------------------------------


def test_a_part_of_the_ledger_does_not_replace_it(project: Project) -> None:
    write(project, ARITHMETIC, "test_other.py")
    project.run("suites/claims").assert_outcomes(passed=3)
    whole = findings(project)
    assert list(whole) == ["C1", "Z1", "Z2"]
    for part in (
        ("suites/claims", "-k", "Z1 or C1"),
        ("suites/claims/test_other.py",),
        ("suites/claims/test_mine.py::Z1",),
    ):
        result = project.run(*part)
        result.stdout.fnmatch_lines(["*ledger: .nanocheck/reports/claims-rtx4070.md (a part of the ledger)"])
        assert findings(project) == whole
    # What no longer exists does not keep the ledger from being replaced.
    (project.path / "suites" / "claims" / "test_other.py").unlink()
    project.run("suites/claims")
    assert list(findings(project)) == ["Z1", "Z2"]


def test_a_damaged_ledger_is_written_anew(project: Project) -> None:
    (project.path / "reports").mkdir()
    (project.path / "reports" / "claims-rtx4070.json").write_text('{"schema": 1, "ledgers": []}')
    project.run("suites/claims").assert_outcomes(passed=2)
    assert set(findings(project)) == {"Z1", "Z2"}


def test_side_by_side_workers_write_one_ledger(project: Project) -> None:
    write(project, ARITHMETIC, "test_other.py")
    plugin = ("-p", "nanocheck.pytest_plugin.plugin", "-p", "no:cacheprovider", "--device", "virtual")
    result = project.pytester.runpytest_subprocess(*plugin, "-n", "2", "suites/claims")
    result.assert_outcomes(passed=3)
    found = findings(project)
    assert list(found) == ["C1", "Z1", "Z2"]
    assert '"torch": "2.14.1+cu130"' in (project.path / "reports" / "claims-rtx4070.json").read_text()
    result = project.pytester.runpytest_subprocess(*plugin, "-n", "2", "suites/claims", "-k", "Z1 or C1")
    result.assert_outcomes(passed=2)
    assert findings(project) == found
    assert set(findings(project, PART)) == {"C1", "Z1"}


def test_the_cards_report_holds_the_ledger_and_keeps_it_until_it_is_made_again(project: Project) -> None:
    project.run("suites/", "--update-baselines")
    report = project.path / "reports" / "rtx4070.md"
    page = report.read_text()
    assert "## What is true of what people say\n\n2 claims: 1 confirmed, 1 refuted, checked against" in page
    assert "| Batch 16 runs out of memory in its backward, asking for 1,572 MiB." in page
    assert "[claims-rtx4070.md](claims-rtx4070.md)" in page
    project.run("suites/memory")
    assert report.read_text().count("| Z2 ") == 1
    write(project, CLAIMS.replace("Batch 16 {", "16 {"))
    project.run("suites/")
    assert "| 16 runs out of memory in its backward" in report.read_text()


def test_a_session_without_claims_imports_nothing_of_them(project: Project) -> None:
    code = "import sys\ndef test_it():\n    assert 'nanocheck.claims.claim' not in sys.modules\n"
    (project.path / "test_alone.py").write_text(code)
    plugin = ("-p", "nanocheck.pytest_plugin.plugin", "-p", "no:cacheprovider")
    project.pytester.runpytest_subprocess(*plugin, "test_alone.py").assert_outcomes(passed=1)
    assert not (project.path / "reports").exists()


@pytest.mark.parametrize("arguments", [["suites/claims"], ["suites/"]])
def test_what_an_interrupted_run_left_is_dropped_once_all_is_answered(
    project: Project, arguments: list[str]
) -> None:
    conftest = (project.path / "conftest.py").read_text()
    finish = "Fake.finish = lambda self: open('finished.txt', 'a').write('finished\\n')\n"
    (project.path / "conftest.py").write_text(f"{conftest}\n{finish}")
    project.run(*arguments)
    assert project.lines("finished") == ["finished"]
