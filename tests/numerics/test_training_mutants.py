"""Each way in which training steps really break fails the test that ``mutants.toml`` names for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from mutating import Mutant, copy_project, mutants, run_suites

MUTANTS = mutants()


def test_the_unchanged_step_passes_every_test_that_a_mutant_fails(tmp_path: Path) -> None:
    tests = sorted({f"suites/{each}" for mutant in MUTANTS for each in mutant.caught_by})
    done, failed = run_suites(copy_project(tmp_path, None), tests)
    assert (done.returncode, failed) == (0, []), done.stdout + done.stderr
    assert f"{len(tests)} passed" in done.stdout


@pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, id=each.name, marks=[pytest.mark.slow] if each.slow else []) for each in MUTANTS],
)
def test_caught(mutant: Mutant, tmp_path: Path) -> None:
    wanted = [f"suites/{each}" for each in mutant.caught_by]
    done, failed = run_suites(copy_project(tmp_path, mutant), wanted)
    assert done.returncode == 1, done.stdout + done.stderr
    assert sorted(failed) == sorted(wanted), done.stdout
