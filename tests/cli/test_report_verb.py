"""``nanocheck report``: pages made anew from stored data."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up import result

from nanocheck.cli import main
from nanocheck.core.config import StepConfig
from nanocheck.core.verdict import classify
from nanocheck.report import memory_report, report_file
from nanocheck.report.report_file import Report, Row


def made_up_report(batch: int) -> Report:
    found = result(StepConfig(batch=batch))
    row = Row(result=found, verdict=classify(found, 512 << 20))
    return Report(date="2026-01-02", command="pytest suites/", margin_bytes=512 << 20, rows=(row,))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    reports = tmp_path / "reports"
    reports.mkdir()
    for name, batch in (("rtx4070", 4), ("t4", 8)):
        (reports / f"{name}.json").write_text(report_file.dumps(made_up_report(batch)))
    return reports


def test_every_page_is_written_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t4.md").write_text("an old page")
    assert main(["report"]) == 0
    assert (folder / "rtx4070.md").read_text() == memory_report.render(made_up_report(4))
    assert (folder / "t4.md").read_text() == memory_report.render(made_up_report(8))
    assert capsys.readouterr().out == "reports/rtx4070.md: written\nreports/t4.md: written\n"
    assert main(["report"]) == 0
    assert capsys.readouterr().out == "reports/rtx4070.md: unchanged\nreports/t4.md: unchanged\n"


def test_one_page_by_name_or_by_file(folder: Path) -> None:
    assert main(["report", "t4"]) == 0
    assert sorted(path.name for path in folder.glob("*.md")) == ["t4.md"]
    assert main(["report", "reports/rtx4070.json"]) == 0
    assert sorted(path.name for path in folder.glob("*.md")) == ["rtx4070.md", "t4.md"]


def test_printed_instead_of_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "t4", "--stdout"]) == 0
    assert capsys.readouterr().out == memory_report.render(made_up_report(8))
    assert not list(folder.glob("*.md"))


def test_another_folder(folder: Path, tmp_path: Path) -> None:
    folder.rename(tmp_path / "elsewhere")
    assert main(["report", "--reports", "elsewhere"]) == 0
    assert (tmp_path / "elsewhere" / "t4.md").exists()


def test_a_report_nobody_made(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "h100"]) == 2
    said = capsys.readouterr().err
    assert (
        "expected a stored report at reports/h100.json, found none (reports in reports: rtx4070, t4)" in said
    )
    assert "hint: pytest suites/" in said


def test_an_empty_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "--reports", str(tmp_path)]) == 2
    assert f"expected a stored report at {tmp_path}/*.json, found none" in capsys.readouterr().err


def test_damaged_data_leave_every_page_as_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = folder / "t4.json"
    stored.write_text(stored.read_text()[:200])
    assert main(["report"]) == 4
    said = capsys.readouterr().err
    assert "t4.json" in said
    assert "not JSON" in said
    assert not list(folder.glob("*.md"))
