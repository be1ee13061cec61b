"""Mutants of the training step: a copy of the project with one line changed, and the suites run on it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from paths import HELPERS, QUICK, ROOT

SUITES = ("suites/loss", "suites/reproducibility")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One line of ``nanocheck/`` changed; ``caught_by`` are below ``suites/``; ``slow``: for releases."""

    name: str
    file: str
    there: str
    instead: str
    caught_by: tuple[str, ...]
    slow: bool = False


def mutants() -> list[Mutant]:
    """All of them, from ``mutants.toml``."""
    data = tomllib.loads((HELPERS / "mutants.toml").read_text())
    return [Mutant(**{**each, "caught_by": tuple(each["caught_by"])}) for each in data["mutant"]]


def copy_project(folder: Path, mutant: Mutant | None = None, origin: Path = ROOT) -> Path:
    """The suites and code of a project in ``folder``, with the mutant's line changed.

    Its bytecode, too: what is changed is newer and is compiled again.
    """
    for name in ("nanocheck", "suites", "baselines"):
        shutil.copytree(origin / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*"))
    for name in ("pyproject.toml", "conftest.py"):
        shutil.copy(origin / name, folder / name)
    if mutant is not None:
        change(folder / "nanocheck" / mutant.file, mutant.there, mutant.instead)
    return folder


def change(path: Path, there: str, instead: str) -> None:
    """Put something else in the one place of a file where ``there`` stands."""
    text = path.read_text()
    assert text.count(there) == 1, f"{path.name} has changed: write the mutant of {there!r} anew"
    path.write_text(text.replace(there, instead))


def run_suites(
    folder: Path, tests: Sequence[str] = SUITES, *options: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The suites as a user runs them, on the CPU, and the ids of the tests that failed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("CI", "GITHUB_"))}
    environment["PYTHONPATH"] = f"{QUICK}:{folder}"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-rfE"]
    done = subprocess.run(
        [*command, "--device=virtual", *options, *tests],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    return done, re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
