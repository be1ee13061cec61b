"""One state of a project on the cards: the command under ``nanocheck run``, or the project's own tests.

What is run is the project's, so it gets neither the service's command files (it could set variables of later
steps) nor a token, and what it prints is no command to the service.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nanocheck.ci.settings import PREFIX, Settings
from nanocheck.core.errors import NanocheckError
from nanocheck.core.gate import Missing
from nanocheck.core.rank_runs import machine_name
from nanocheck.core.verdict import JudgedRun
from nanocheck.report.run_file import load

#: Files by which a step speaks to the runner, and what opens the services' stores.
_WITHHELD = (
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_OUTPUT",
    "GITHUB_STATE",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "CI_JOB_TOKEN",
)
_WITHHELD_PREFIXES = ("ACTIONS_", PREFIX + "TOKEN", PREFIX + "GITLAB_TOKEN", "INPUT_")


@dataclass(kw_only=True)
class Found:
    """What came out of one state: results by what ran and on which card, and what gave none.

    Attributes:
        tests_exit_code: pytest's worst; ``None`` where it was a command.
    """

    runs: dict[tuple[str, str], JudgedRun] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)
    tests_exit_code: int | None = None


def run(settings: Settings, root: Path, results: Path) -> Found:
    """Everything that is asked for, in a checkout.

    Args:
        results: a folder for the files of the runs.
    """
    found = Found()
    folder = root / settings.folder
    results.mkdir(parents=True, exist_ok=True)
    what = shown(settings)
    if settings.prepare:
        code = _call(["bash", "-eo", "pipefail", "-c", settings.prepare], folder)
        if code:
            why = f"prepare ended with exit code {code}"
            found.missing = [Missing(id=what, gpu=gpu, why=why) for gpu in settings.gpus]
            return found
    for gpu in settings.gpus:
        place = results / gpu
        place.mkdir(exist_ok=True)
        for old in place.glob("*.json"):
            old.unlink()
        arguments = tests(settings, gpu, place) if settings.tests else command(settings, gpu, place)
        # -P: the project's folder must not stand in for nanocheck.
        code = _call([sys.executable, "-P", "-m", *arguments], folder)
        if settings.tests:
            found.tests_exit_code = max(found.tests_exit_code or 0, code)
        files = sorted(place.glob("*.json"))
        for file in files:
            try:
                judged = load(file)
            except NanocheckError as error:
                found.missing.append(Missing(id=what, gpu=gpu, why=error.problem.replace(str(file), "")))
                continue
            found.runs[judged.result.id, machine_name(judged.result)] = judged
        if not files:
            found.missing.append(Missing(id=what, gpu=gpu, why=f"no result, exit code {code}"))
    return found


def shown(settings: Settings) -> str:
    """What is run, as one types it."""
    import shlex

    return shlex.join(("pytest", *settings.tests) if settings.tests else settings.command)


def card_options(settings: Settings, gpu: str) -> tuple[str, ...]:
    """``--gpu`` and the others of the card, where they are not their defaults."""
    found = ["--gpu", gpu]
    for flag, value, usual in (
        ("--device", settings.device, "auto"),
        ("--platform", settings.platform, "linux"),
        ("--reserve", settings.reserve, "0"),
    ):
        if value != usual:
            found += [flag, value]
    if settings.margin != "512MiB":
        found += ["--nanocheck-margin" if settings.tests else "--margin", settings.margin]
    return tuple(found)


def command(settings: Settings, gpu: str, results: Path | None) -> list[str]:
    """``nanocheck run ... -- COMMAND``, without the Python before it."""
    files = ["--json", str(results / "run.json")] if results is not None else []
    options = [*card_options(settings, gpu), "--check", *files, *settings.options]
    return ["nanocheck", "run", *options, "--", *settings.command]


def tests(settings: Settings, gpu: str, results: Path | None) -> list[str]:
    """``pytest ...``, without the Python before it."""
    # In one word: of a folder by itself pytest would think that tests are there, and choose its root by it.
    files = [f"--nanocheck-results={results}"] if results is not None else []
    return ["pytest", *settings.tests, *card_options(settings, gpu), *files, *settings.options]


def reproduce(settings: Settings, gpu: str) -> tuple[str, ...]:
    """The words by which the same is asked again."""
    words = tests(settings, gpu, None) if settings.tests else command(settings, gpu, None)
    return tuple(words)


def _call(words: list[str], folder: Path) -> int:
    """Its exit code; what it prints goes to the log."""
    with _no_commands():
        done = subprocess.run(
            words, cwd=folder, env=_environment(os.environ), stdin=subprocess.DEVNULL, check=False
        )
    return done.returncode


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in given.items()
        if name not in _WITHHELD and not name.startswith(_WITHHELD_PREFIXES)
    }


@contextlib.contextmanager
def _no_commands() -> Iterator[None]:
    """GitHub's runner obeys no line of the log meanwhile: only who knows the word can change that."""
    if not os.environ.get("GITHUB_ACTIONS"):
        yield
        return
    word = secrets.token_hex(16)
    print(f"::stop-commands::{word}", flush=True)
    try:
        yield
    finally:
        print(f"\n::{word}::", flush=True)
