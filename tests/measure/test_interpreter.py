"""A command of another environment is refused with both named; whatever is no Python is let through."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.core.errors import RequestError
from nanocheck.measure.interpreter import check_interpreter, interpreter_of

HERE = Path(sys.executable)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another environment's bin folder; empty but for Python."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin"


def install(other: Path, package: str, version: str | None = None) -> Path:
    (site,) = (other.parent / "lib").glob("python*/site-packages")
    (site / package).mkdir()
    (site / package / "__init__.py").touch()
    if version is not None:
        (site / package / "version.py").write_text(f"__version__ = '{version}'\n")
    return site / package


def refusal(program: Path, *command: str) -> str:
    with pytest.raises(RequestError) as refused:
        check_interpreter(str(program), command, os.environ)
    return str(refused.value)


def test_an_environment_without_torch_then_with_another_then_with_nanocheck_too(other: Path) -> None:
    said = refusal(other / "python", "python", "train.py", "--lr", "1")
    assert f"nanocheck: {sys.prefix} (torch " in said
    assert f"python: {other.parent} (no torch), by {other}/python" in said
    assert f"hint: nanocheck run ... -- {HERE.with_name('python')} train.py --lr 1" in said
    install(other, "torch", "2.0.0+cpu")
    said = refusal(other / "python", "python", "train.py")
    assert f"{other.parent} (torch 2.0.0+cpu)" in said
    assert f"hint: {other}/python -m pip install pytest-nanocheck, then {other}/nanocheck run" in said
    install(other, "nanocheck")
    said = refusal(other / "python", "python", "train.py")
    assert f"hint: {other}/nanocheck run ... -- python train.py" in said
    launcher = other / "torchrun"
    launcher.write_text(f"#!{other}/python\nprint()\n")
    assert f"torchrun: {other.parent} (torch 2.0.0+cpu)" in refusal(launcher, "torchrun", "train.py")


def test_our_own_interpreter_by_any_of_its_names() -> None:
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        path = HERE.with_name(name)
        if path.exists():
            check_interpreter(str(path), [name], {"PATH": "/nowhere"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("#!/opt/v/bin/python3.12\n", "/opt/v/bin/python3.12"),
        ("#!/usr/bin/env -S python -u\n", "{bin}/python"),
        ("#!/bin/sh\n'''exec' \"/a long/python3\" \"$0\" \"$@\"\n' '''\n", "/a long/python3"),
        ("#!/bin/sh\n'''exec' /v/bin/python \"$0\" \"$@\"\n' '''\n", "/v/bin/python"),
        ("#!/bin/bash\npython train.py\n", None),
        ("#!/usr/bin/env bash\n", None),
        ("#!\n", None),
        ("\x7fELF", None),
    ],
)
def test_which_python_a_launcher_names(text: str, found: str | None, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.touch()
    python.chmod(0o755)
    launcher = tmp_path / "torchrun"
    launcher.write_text(text)
    expected = found.format(bin=tmp_path) if found else None
    assert interpreter_of(str(launcher), {"PATH": str(tmp_path)}) == expected


def test_a_python_that_does_not_answer_is_let_through(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o755)
    check_interpreter(str(python), ["python"], os.environ)
