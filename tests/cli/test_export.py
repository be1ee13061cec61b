"""``nanocheck export``: which files it reads, and what it says where it cannot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from made_up import oom_result, result
from made_up_exports import compared, several_cards, side, small_table

from nanocheck.cli import main, options
from nanocheck.core.config import StepConfig
from nanocheck.core.result import RunResult
from nanocheck.core.run_diff import RunDiffs
from nanocheck.core.units import MOST_BYTES
from nanocheck.core.verdict import JudgedRun, Kind, classify
from nanocheck.report import report_file
from nanocheck.report.report_file import Report, Row
from nanocheck.report.run_file import RunFile

FORMATS = ("sarif", "github-benchmark", "github-benchmark-headroom", "bencher", "openmetrics")


def command(found: RunResult) -> RunResult:
    return msgspec.structs.replace(found, config=None, command=("python", "train.py"))


def report(found: Sequence[RunResult]) -> str:
    rows = tuple(Row(result=each, verdict=classify(each)) for each in found)
    return report_file.dumps(Report(date="2026-01-02", command="pytest suites/", margin_bytes=1, rows=rows))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a file of each kind that can be read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    options.write_json(tmp_path / "run.json", RunFile.with_suggestions(JudgedRun.of(command(result()))))
    options.write_json(tmp_path / "cards.json", several_cards(Kind.SAFE, Kind.OOM))
    both = compared(side(4 << 30), side(5 << 30))
    diffs = RunDiffs(before="a", after="b", diffs=(both,), worse=True, moved=True)
    options.write_json(tmp_path / "diff.json", diffs)
    options.write_json(tmp_path / "table.json", small_table(Kind.SAFE, Kind.TIGHT))
    (tmp_path / "report.json").write_text(report([result(StepConfig(batch=batch)) for batch in (1, 2)]))
    return tmp_path


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("file", ["run.json", "cards.json", "report.json", "diff.json", "table.json"])
def test_every_file_in_every_format_to_the_terminal_or_a_file(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, file: str
) -> None:
    assert main(["export", "--to", name, file]) == 0
    shown = capsys.readouterr().out
    assert main(["export", "--to", name, file, "-o", "out/made.txt"]) == 0
    written = (folder / "out" / "made.txt").read_text()
    many = "1 run" if file in ("run.json", "diff.json") else "2 runs"
    assert capsys.readouterr().out == f"out/made.txt: {many}\n"
    assert shown == written
    assert "virtual" in written or name == "sarif"


def test_several_files_are_one_and_cards_can_be_chosen(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "--to", "bencher", "run.json", "cards.json", "report.json"]) == 0
    names = set(json.loads(capsys.readouterr().out))
    assert {name.partition(" on ")[2] for name in names} == {
        *("rtx4070 (virtual)", "card0 (virtual)", "card1 (virtual)")
    }
    assert len(names) == 5
    assert main(["export", "--to", "bencher", "cards.json", "report.json", "--gpu", "card0, rtx4070"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--to", "bencher", "run.json", "run.json"], 2, "expected each run once"),
        (["--to", "bencher", "run.json", "--gpu", "t4"], 2, "(rtx4070), found t4"),
        (["--to", "bencher", "run.json", "--place", "x.py"], 2, "expected --to sarif"),
        (["--to", "bencher", "absent.json"], 4, "No such file"),
        (["--to", "sarif", "list.json"], 4, "found none of them"),
        (["--to", "sarif", "ledger.json"], 4, "found none of them"),
        (["--to", "sarif", "cut.json"], 4, "cut short?"),
        (["--to", "sarif", "old.json"], 4, "schema"),
        (["--to", "sarif", "lost.json"], 4, "found none for card1"),
        (["--to", "openmetrics", "huge.json"], 4, f"at most {MOST_BYTES} bytes"),
        (["--to", "github-benchmark", "crashed.json"], 1, "no run came to an answer"),
        (["--to", "bencher", "run.json", "-o", "run.json/x"], 3, "expected to write"),
    ],
)
def test_what_it_cannot_do_it_says(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    whole = (folder / "run.json").read_text()
    crashed = command(result(outcome="crashed", detail="ValueError: x"))
    huge = command(result(allocated_bytes=MOST_BYTES + 1))
    for name, text in {
        "list": "[]",
        "ledger": '{"kind": "claims", "schema": 2}',
        "lost": (folder / "table.json").read_text().replace('"gpu": "card1"', '"gpu": "card9"', 1),
        "cut": whole[:-20],
        "old": whole.replace('"schema": 2', '"schema": 1'),
    }.items():
        (folder / f"{name}.json").write_text(text)
    for name, found in (("crashed", crashed), ("huge", huge)):
        options.write_json(folder / f"{name}.json", RunFile.with_suggestions(JudgedRun.of(found)))
    assert main(["export", *words]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.out == ""


def test_runs_without_an_answer_are_counted_beside_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = [
        result(),
        result(StepConfig(batch=2), outcome="timeout", detail="too long"),
        oom_result(StepConfig(batch=3)),
    ]
    (folder / "mixed.json").write_text(report(found))
    assert main(["export", "--to", "bencher", "mixed.json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)) == 2
    assert captured.err == "nanocheck export: 1 of 3 runs gave no answer about memory\n"


def test_nothing_on_the_terminal_is_a_command_to_a_ci_service(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = msgspec.structs.replace(
        result(), config=None, command=("::error::x", "##[error]y", "a\n::warning::z")
    )
    options.write_json(folder / "run.json", RunFile.with_suggestions(JudgedRun.of(found)))
    for name in FORMATS:
        assert main(["export", "--to", name, "run.json"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert not [line for line in lines if line.lstrip().startswith("::") or "##[" in line]


def test_findings_without_a_place_are_counted_since_github_refuses_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "died.json").write_text(report([oom_result(), result(StepConfig(batch=2))]))
    assert main(["export", "--to", "sarif", "died.json", "-o", "out.sarif"]) == 0
    assert capsys.readouterr().err == (
        "nanocheck export: 1 finding belongs to no file here, and GitHub wants one for each: --place FILE\n"
    )
    assert main(["export", "--to", "sarif", "died.json", "--place", "died.json", "-o", "out.sarif"]) == 0
    assert capsys.readouterr().err == ""
