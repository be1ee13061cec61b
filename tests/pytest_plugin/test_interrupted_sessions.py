"""An interrupted run goes on where it stopped; a finished one leaves nothing that could pass for a result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_measuring import Fake
from plugin_project import IDS, Project

from nanocheck.core import fingerprint as fingerprints
from nanocheck.process.journal import Journal


class Journaled(Fake):
    """The fake, with the harness's use of a journal."""

    def __init__(self, target: Any, *, journal: Journal | None, **others: Any) -> None:
        super().__init__(target)
        self.journal = journal

    def submit(self, config: Any) -> Any:
        pending = super().submit(config)
        journal = self.journal
        assert journal is not None

        class Kept:
            def result(self) -> Any:
                from nanocheck.core.result import RunResult

                if config.id in journal:
                    return msgspec.convert(journal.get(config.id), RunResult)
                record = pending.result()
                journal.append(config.id, msgspec.to_builtins(record))
                return record

        return Kept()


@pytest.fixture
def project(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr("nanocheck.pytest_plugin.harness.measurement", Journaled)
    (project.path / "conftest.py").write_text("")
    return project


def stopped(project: Project) -> Path:
    """A run with -x and without baselines: one configuration in the journal."""
    project.run("suites/", "-x").assert_outcomes(failed=1)
    journal = project.path / ".nanocheck" / "journal-rtx4070.jsonl"
    assert journal.exists()
    (project.path / "waited.txt").unlink()
    return journal


def test_a_stopped_run_goes_on_and_a_finished_one_leaves_no_journal(project: Project) -> None:
    journal = stopped(project)
    project.run("suites/")
    assert project.lines("waited") == list(IDS[1:])
    assert not journal.exists()
    project.run("suites/")
    assert project.lines("waited") == [*IDS[1:], *IDS]


def test_a_finished_run_of_a_part_leaves_no_journal_either(project: Project) -> None:
    project.run("suites/", "-k", "b8")
    assert not (project.path / ".nanocheck" / "journal-rtx4070.jsonl").exists()


def test_fresh_computes_everything_again_even_from_a_damaged_journal(project: Project) -> None:
    journal = stopped(project)
    project.run("suites/", "-x", "--nanocheck-fresh")
    assert project.lines("waited") == [IDS[0]]
    journal.write_text("damaged\n")
    project.run("suites/").stdout.fnmatch_lines(["*journal-rtx4070.jsonl, line 1: *", "*hint: rm *"])
    project.run("suites/", "--nanocheck-fresh").stdout.fnmatch_lines(["4 configurations on *"])


def test_a_changed_environment_computes_everything_again(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped(project)
    monkeypatch.setenv("PYTORCH_NO_CUDA_MEMORY_CACHING", "1")
    project.run("suites/")
    assert project.lines("waited") == list(IDS)


def test_a_journal_in_use_stops_the_run(project: Project) -> None:
    path = project.path / ".nanocheck" / "journal-rtx4070.jsonl"
    with Journal(path, {}):
        result = project.run("suites/")
    assert result.ret == 3
    assert "in use by another nanocheck run" in result.stdout.str() + result.stderr.str()


def test_any_change_of_nanochecks_own_sources_changes_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "step").mkdir()
    source = tmp_path / "step" / "model.py"
    source.write_text("loss / accumulation\n")
    monkeypatch.setattr(fingerprints, "__file__", str(tmp_path / "core" / "fingerprint.py"))
    before = fingerprints.fingerprint()
    assert before == fingerprints.fingerprint()
    assert json.loads(json.dumps(before)) == before
    source.write_text("loss\n")
    assert fingerprints.fingerprint() != before
