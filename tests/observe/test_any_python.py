"""The observer runs in the script's Python, any from 3.9 on: each that this machine has is tried."""

from __future__ import annotations

import ast
import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from paths import HELPERS, ROOT

import nanocheck

PYTHONS = [f"3.{minor}" for minor in range(9, 15)]
PACKAGE = Path(nanocheck.__file__).parent
FILES = [PACKAGE / "__init__.py", *(PACKAGE / "observe").rglob("*.py")]


def interpreter(version: str) -> str | None:
    """By its name, or among pyenv's, whose commands run only where they were chosen."""
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    tried = [shutil.which(f"python{version}"), *map(str, versions.glob(f"{version}.*/bin/python"))]
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    for each in filter(None, tried):
        done = subprocess.run([each, "-c", asked], capture_output=True, text=True, check=False)
        if done.stdout.strip() == version:
            return each
    return None


@functools.cache
def answer(python: str) -> dict[str, Any]:
    """Without what is installed there: torch would be imported."""
    done = subprocess.run(
        [python, "-W", "error", "-S", str(HELPERS / "any_python.py")],
        env={"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(params=PYTHONS)
def there(request: pytest.FixtureRequest) -> dict[str, Any]:
    found = interpreter(request.param)
    if found is None:
        pytest.skip(f"python{request.param} is not installed")
    return answer(found)


def test_its_modules_can_be_imported(there: dict[str, Any]) -> None:
    """All those that need no torch; the others stop at it, and at nothing before."""
    assert there["imports"] == answer(sys.executable)["imports"]
    assert set(there["imports"].values()) == {"yes", "needs torch"}
    assert "yes" in {there["imports"][f"nanocheck.observe.{each}"] for each in ("bootstrap", "relaunch")}


def test_what_it_names_of_the_standard_library_is_there(there: dict[str, Any]) -> None:
    assert there["lacking"] == []


def test_later_steps_are_the_same(there: dict[str, Any]) -> None:
    ours = answer(sys.executable)["findings"]
    assert there["findings"] == ours
    assert sum(map(bool, ours.values())) > len(ours) // 2  # there is something to find


def test_what_it_has_looked_at_is_freed(there: dict[str, Any]) -> None:
    assert there["freed"]


#: What came later and is easily written, in case that no old Python is installed.
NEWER_ATTRIBUTES = {
    "Match",
    "TryStar",
    "orig_argv",
    "co_lines",
    "co_positions",
    "co_qualname",
    "add_note",
    "pairwise",
}
NEWER_ARGUMENTS = {"kw_only", "slots", "strict", "weakref_slot"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_written_for_python_3_9(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    nodes = list(ast.walk(tree))
    assert not NEWER_ATTRIBUTES & {each.attr for each in nodes if isinstance(each, ast.Attribute)}
    assert not NEWER_ARGUMENTS & {each.arg for each in nodes if isinstance(each, ast.keyword)}
    unions = [
        each
        for call in nodes
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in ("isinstance", "issubclass")
        for each in ast.walk(call.args[1])
        if isinstance(each, ast.BinOp)
    ]
    assert not unions
