"""The plugin from the outside: what a person sees, and what is written."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ElementTree

import msgspec
import pytest
from plugin_project import IDS, MATRIX, Project

from nanocheck.core import baselines

# --- baselines through the suite --------------------------------------------------------------------------


def test_missing_baselines_fail_with_the_command_and_updating_fixes_it(project: Project) -> None:
    result = project.run()
    result.assert_outcomes(failed=4)
    command = "pytest suites/ --gpu rtx4070 --device virtual --update-baselines"
    result.stdout.fnmatch_lines(
        [f"*{IDS[0]}: expected a baseline, found none*", f"*hint: {command}", f"4 missing: {command}"]
    )
    updated = project.run("suites/", "--update-baselines")
    updated.assert_outcomes(passed=4)
    updated.stdout.fnmatch_lines(
        ["baselines: 4 created, 0 changed, 0 unchanged, 0 removed in baselines/rtx4070/*"]
    )
    project.run().assert_outcomes(passed=4)


def test_ids_are_the_configurations_ids(settled: Project) -> None:
    result = settled.run("suites/", "-v")
    result.stdout.fnmatch_lines([f"*test_memory[[]{name}[]] PASSED*" for name in IDS])


@pytest.mark.parametrize(("mib", "word"), [(6401, "regressed"), (6399, "improved, and not yet accepted")])
def test_a_change_of_either_sign_fails_exactly_its_test(settled: Project, mib: int, word: str) -> None:
    settled.script(b8={"mib": mib})
    result = settled.run()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines([f"*{IDS[1]}: {word}: *expected 6,400.00 MiB, found {mib:,}.00 MiB*"])


def test_an_expected_oom_passes_and_stands_in_the_report(settled: Project) -> None:
    assert settled.run().ret == 0
    assert "1 oom" in settled.report.read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"outcome": "crashed", "detail": "Segmentation fault\nit printed"}, "crashed: Segmentation fault"),
        ({"outcome": "timeout", "detail": "stage build"}, "timeout: stage build"),
        ({"leak": True}, "no steady state: optimizer: expected equal peaks in steps 1 and 2*(+512)"),
    ],
)
def test_no_answer_and_a_leak_fail_and_are_never_stored(
    settled: Project, change: dict[str, object], said: str
) -> None:
    before = settled.baseline.read_bytes()
    settled.script(b8=change)
    for arguments in (("suites/",), ("suites/", "--update-baselines")):
        result = settled.run(*arguments)
        result.assert_outcomes(passed=3, failed=1)
        result.stdout.fnmatch_lines([f"*{IDS[1]}: {said}*"])
    result.stdout.fnmatch_lines(["ERROR *expected *", "*nothing was written"])
    assert settled.baseline.read_bytes() == before


NEWER = {"torch": "2.15.0+cu130", "cuda": "13.0"}


def test_with_another_torch_verdicts_are_held_and_bytes_are_not(settled: Project) -> None:
    settled.script(**{f"b{batch}": {"environment": NEWER, "mib": 1} for batch in (4, 8, 14)})
    result = settled.run("suites/", "-k", "not b16")
    result.assert_outcomes(passed=3, deselected=1)
    result.stdout.fnmatch_lines(["NO BYTES WERE COMPARED, 3 VERDICTS HOLD: *--nanocheck-stale=fail"])
    assert result.ret == 0


def test_with_another_torch_what_was_safe_may_not_be_out_of_memory(settled: Project) -> None:
    settled.script(b8={"environment": NEWER, "outcome": "oom"})
    result = settled.run("suites/")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        ["*expected safe as in the nearest baseline (made with torch 2.14.1*found oom*"]
    )


def test_a_configuration_that_only_another_torch_runs_is_skipped(settled: Project) -> None:
    matrix = settled.path / "suites" / "memory" / "matrix.toml"
    matrix.write_text(MATRIX.replace("[4, 8, 14, 16]", "[4, 6]"))
    settled.script(b6={"environment": NEWER}, b4={"environment": NEWER})
    result = settled.run("suites/", "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED [[]1[]]*stale baseline: made with torch 2.14.1+cu130*"])


def test_in_ci_another_torch_fails(settled: Project) -> None:
    settled.script(b8={"environment": {"torch": "2.15.0+cu130"}})
    result = settled.run("suites/", "--nanocheck-stale=fail")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*no worse than in the nearest baseline*", "  hint: *pytest suites/*"])
    assert "NO BYTES WERE COMPARED" not in result.stdout.str()


def test_memory_comes_first_and_what_takes_minutes_last(settled: Project) -> None:
    (settled.path / "suites" / "a_suite").mkdir()
    (settled.path / "suites" / "a_suite" / "test_a.py").write_text(
        "import pytest\n@pytest.mark.compiled_arithmetic\ndef test_slow(): pass\ndef test_quick(): pass\n"
    )
    lines = settled.run("suites/", "--collect-only", "-q").stdout.lines
    names = [line.rpartition("::")[2] for line in lines if "::" in line]
    assert names == [*(f"test_memory[{name}]" for name in IDS), "test_quick", "test_slow"]


def test_a_damaged_baseline_fails_with_its_message_and_a_whole_update_fixes_it(settled: Project) -> None:
    settled.baseline.write_text(settled.baseline.read_text()[:-30])
    result = settled.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*linux-torch2.14.1+cu130-virtual.json:*: not JSON*", "*hint: pytest suites/*--update-baselines"]
    )
    partial = settled.run("suites/", "--update-baselines", "-k", "b8")
    assert partial.ret == 1
    partial.stdout.fnmatch_lines(["ERROR *not JSON*"])
    settled.run("suites/", "--update-baselines").assert_outcomes(passed=4)
    assert settled.run().ret == 0


def test_unused_baselines_are_told_by_a_whole_run_only_and_removed_by_an_update(settled: Project) -> None:
    (settled.path / "suites/memory/matrix.toml").write_text(MATRIX.replace("4, ", "", 1))
    result = settled.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [f"1 unused, no longer in the matrix: {IDS[0]}; to remove: *--update-baselines"]
    )
    assert "unused, no longer" not in settled.run("suites/", "-k", "b8").stdout.str()
    settled.run("suites/", "--update-baselines", "-k", "b8")
    assert IDS[0] in settled.baseline.read_text()
    settled.run("suites/", "--update-baselines").stdout.fnmatch_lines(["baselines: *1 removed*"])
    assert IDS[0] not in settled.baseline.read_text()


def test_ci_refuses_to_update(settled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    result = settled.run("suites/", "--update-baselines")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*CI only reads baselines*"])
    assert settled.lines("submitted") == []


# --- the report -------------------------------------------------------------------------------------------


def test_a_whole_run_replaces_the_report_and_a_part_does_not(settled: Project) -> None:
    settled.report.write_text("committed")
    settled.report.with_suffix(".json").unlink()
    part = settled.run("suites/", "-k", "b8 or b4")
    part.stdout.fnmatch_lines(
        [
            "report on a part of the matrix: .nanocheck/reports/rtx4070.md "
            "(reports/rtx4070.md was not replaced)"
        ]
    )
    assert settled.report.read_text() == "committed"
    assert "Only a part of the matrix ran." in (settled.path / ".nanocheck/reports/rtx4070.md").read_text()
    settled.run().stdout.fnmatch_lines(["report: reports/rtx4070.md"])
    assert "Largest safe batch: 8 (bf16 eager)" in settled.report.read_text()
    assert len(json.loads(settled.report.with_suffix(".json").read_text())["rows"]) == 4


def test_a_report_is_left_alone_where_no_byte_and_no_verdict_differs(settled: Project) -> None:
    data = settled.report.with_suffix(".json")
    data.write_text(re.sub(r'"date": "[^"]*"', '"date": "2001-02-03"', data.read_text()))
    settled.report.write_text("committed")
    before = data.read_bytes()
    settled.run().stdout.fnmatch_lines(["report: reports/rtx4070.md (of 2001-02-03; nothing differs)"])
    assert (settled.report.read_text(), data.read_bytes()) == ("committed", before)
    settled.script(b8={"mib": 6401})
    settled.run().stdout.fnmatch_lines(["report: reports/rtx4070.md"])
    assert "6,401.00" in settled.report.read_text()


def test_a_report_whose_page_is_gone_is_written_again(settled: Project) -> None:
    settled.report.unlink()
    settled.run()
    assert "Largest safe batch" in settled.report.read_text()


def test_another_matrix_neither_replaces_the_report_nor_calls_baselines_unused(settled: Project) -> None:
    (settled.path / "mine.toml").write_text('[[group]]\nname = "g"\nbatch = 2\n')
    settled.report.write_text("committed")
    result = settled.run("suites/", "--nanocheck-matrix", "mine.toml", "--update-baselines")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["baselines: 1 created*0 removed*", "report on another matrix: .nanocheck/*"])
    assert settled.report.read_text() == "committed"


def test_a_reserve_or_a_platform_has_a_report_of_its_own(settled: Project) -> None:
    settled.run("suites/", "--reserve", "2GiB", "--platform", "windows")
    assert (settled.path / "reports/rtx4070-windows-reserve2048MiB.md").exists()


def test_one_counted_sentence_ends_the_run(settled: Project) -> None:
    settled.script(b8={"mib": 1})
    settled.run().stdout.fnmatch_lines(
        [
            "*= nanocheck =*",
            "4 configurations on NVIDIA GeForce RTX 4070 (VIRTUAL): *1 oom; baselines: 3 equal, 1 improved.",
            "1 improved: if this is intended: pytest suites/ --gpu rtx4070*--update-baselines",
        ]
    )


def test_the_numbers_reach_junit(settled: Project) -> None:
    settled.run("suites/", "--junitxml=junit.xml")
    cases = {
        case.get("name"): {each.get("name"): each.get("value") for each in case.iter("property")}
        for case in ElementTree.parse(settled.path / "junit.xml").iter("testcase")
    }
    properties = cases[f"test_memory[{IDS[1]}]"]
    assert properties["config_id"] == IDS[1]
    assert properties["peak_allocated_bytes"] == properties["peak_reserved_bytes"] == str(6400 << 20)
    assert (properties["provenance"], properties["verdict"]) == ("virtual", "safe")
    assert int(properties["headroom_bytes"]) > 0
    assert cases[f"test_memory[{IDS[3]}]"]["verdict"] == "oom"


def test_github_gets_a_job_summary_and_annotations(settled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    target = settled.path / "summary.md"
    target.write_text("an earlier step\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    settled.script(b8={"mib": 1})
    result = settled.run()
    assert target.read_text().startswith("an earlier step\n4 configurations on NVIDIA GeForce RTX 4070")
    assert "## In ten seconds" in target.read_text()
    result.stdout.fnmatch_lines([f"::error title=nanocheck%3A {IDS[1]}::*improved*"])
    assert result.stdout.str().count("::error") == 1


def test_a_baseline_of_strangers_gives_no_orders(settled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever can change a baseline could say anything; a pull request from a fork can."""
    target = settled.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    orders = "x\n::error::y\r\n ##[error]z \x1b[2J <script>a</script> | `b`"
    stored = baselines.load(settled.baseline)
    expected = {
        name: msgspec.structs.replace(each, sdpa=orders, holders={orders: 5})
        for name, each in stored.configurations.items()
    }
    settled.baseline.write_text(baselines.dumps(msgspec.structs.replace(stored, configurations=expected)))
    result = settled.run()
    result.assert_outcomes(failed=4)
    said = result.stdout.str()
    assert "x\n: :error::y" in said
    ours = re.compile(r"::error title=nanocheck%3A [\w-]+::")
    assert [
        line for line in said.splitlines() if line.lstrip().startswith("::") and not ours.match(line)
    ] == []
    assert "##[" not in said
    assert "\x1b[2J" not in said
    assert "<script" not in target.read_text()


def test_an_unwritable_report_is_told_and_fails_the_run(settled: Project) -> None:
    (settled.path / "file").write_text("")
    result = settled.run("suites/", "--nanocheck-reports", "file/below")
    result.stdout.fnmatch_lines(["ERROR expected to write *"])
    assert result.ret == 3  # this machine's fault, not the tests'


def test_a_full_disk_is_named_and_is_the_machines_fault(
    settled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    settled.script(b4={"mib": 1})  # else nothing differs, and nothing is written
    monkeypatch.setattr("nanocheck.core.files.os.fsync", full)
    result = settled.run()
    result.stdout.fnmatch_lines(
        ["ERROR expected to write *No space left on device", "*free some space on the disk*"]
    )
    assert result.ret == 1  # a test failed as well
    result = settled.run("suites/", "-k", "b8")
    result.stdout.fnmatch_lines(["ERROR expected to write *No space left on device"])
    assert result.ret == 3


# --- what runs, and when ----------------------------------------------------------------------------------


def test_everything_selected_is_submitted_before_the_first_wait(settled: Project) -> None:
    settled.run("suites/", "-x", "-k", "not b4")
    assert settled.lines("submitted") == list(IDS[1:])
    assert settled.lines("waited") == list(IDS[1:])
    assert settled.lines("closed")


def test_collect_only_measures_nothing_and_writes_nothing(settled: Project) -> None:
    before = settled.report.read_bytes()
    result = settled.run("suites/", "--collect-only", "-q")
    result.stdout.fnmatch_lines([f"*test_memory[[]{IDS[0]}[]]"])
    assert settled.lines("submitted") == []
    assert settled.report.read_bytes() == before


def test_a_stop_at_the_first_failure_ends_what_runs_and_keeps_the_report(settled: Project) -> None:
    settled.report.write_text("committed")
    settled.script(b4={"mib": 1})
    result = settled.run("suites/", "-x")
    result.assert_outcomes(failed=1)
    assert settled.lines("waited") == [IDS[0]]
    assert settled.lines("closed")
    assert settled.report.read_text() == "committed"


def test_an_interruption_ends_what_runs_and_tells_what_is_known(settled: Project) -> None:
    settled.script(b14={"interrupt": True})
    result = settled.pytester.runpytest_subprocess(
        "-p", "nanocheck.pytest_plugin.plugin", "--device", "virtual", "suites/"
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["2 configurations on *", "report on a part of the matrix*"])
    assert settled.lines("closed")


def test_a_machine_that_cannot_run_anything_stops_the_session_with_its_exit_code(settled: Project) -> None:
    settled.script(b4={"machine": True})
    result = settled.run()
    assert result.ret == 3
    assert settled.lines("waited") == [IDS[0]]
    assert "expected a C compiler, found none" in result.stdout.str() + result.stderr.str()
    assert "hint: install gcc" in result.stdout.str() + result.stderr.str()


def test_last_failed_runs_only_what_failed(settled: Project) -> None:
    settled.script(b8={"mib": 1})
    cached = ("-p", "nanocheck.pytest_plugin.plugin", "--device", "virtual", "suites/")
    settled.pytester.runpytest_inprocess(*cached)
    (settled.path / "submitted.txt").unlink()
    result = settled.pytester.runpytest_inprocess(*cached, "--lf")
    result.assert_outcomes(failed=1)
    assert settled.lines("submitted") == [IDS[1]]
