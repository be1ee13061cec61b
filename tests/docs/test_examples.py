"""Examples on the pages say what they are shown to say: each is run, in a copy of the checkout's suites."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from documents import Example, examples, one_line
from paths import ROOT

from nanocheck.report.report_file import load

REPORT = ROOT / "reports" / "rtx4070.json"

#: Those that take longer than some seconds, by how they begin.
SLOW = (
    "nanocheck advise",
    "nanocheck frontier",
    "nanocheck run --gpu rtx3090,rtx4090",
    "nanocheck run --suggest",
    "pytest suites/reproducibility",
)


_OUTPUT: dict[str, str] = {}


def cases() -> list[object]:
    return [
        pytest.param(
            each,
            id=f"{each.page}-{each.first[:40]}",
            marks=[pytest.mark.slow] if each.first.startswith(SLOW) else [],
        )
        for each in examples()
    ]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the examples need of a checkout; what they write goes beside it."""
    for folder in ("suites", "baselines", "benchmarks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "reports").mkdir()
    for file in ("pyproject.toml", "conftest.py"):
        shutil.copy(ROOT / file, tmp_path / file)
    return tmp_path


@pytest.mark.parametrize("example", cases())
def test_an_example_says_what_it_is_shown_to_say(example: Example, checkout: Path) -> None:
    known = {str(row.result.environment.torch).split("+")[0] for row in load(REPORT).rows}
    here = version("torch").split("+")[0]
    if here not in known:
        pytest.skip(
            f"the pages show what torch {', '.join(known)} says, this is {here}: install that, or write the "
            "pages anew"
        )
    for command, shown in example.steps:
        found = _OUTPUT.get(command) or run(command, checkout)
        if len(example.steps) == 1:  # pages may show parts of the same output
            _OUTPUT[command] = found
        rest = one_line(found)
        for piece in shown:
            assert piece in rest, (
                f"{example.page}: $ {command}\nexpected, in this order: {piece}\nfound:\n{found}"
            )
            rest = rest[rest.index(piece) + len(piece) :]


def run(command: str, folder: Path) -> str:
    """Both outputs of a command, which is typed where nanocheck and pytest are this environment's."""
    words = shlex.split(command)
    words = [sys.executable, "-m", *words] if words[0] in ("nanocheck", "pytest") else words
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"CI$|GITHUB_|PYTEST_|NANOCHECK_(?!CACHE)", name)
    }
    environment = {
        **kept,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")]),
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "110",
        "NO_COLOR": "1",
    }
    done = subprocess.run(
        words, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return done.stdout
