"""Whether a command is our own Python; which one a launcher names."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.measuring.interpreter import interpreter_of, is_ours

HERE = Path(sys.executable)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another environment's bin folder; empty but for Python."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    return folder / "bin"


def test_our_own_interpreter_by_any_of_its_names() -> None:
    for name in ("python", "python3", f"python3.{sys.version_info.minor}"):
        path = HERE.with_name(name)
        if path.exists():
            assert is_ours(str(path), {"PATH": "/nowhere"})


def test_a_launcher_of_ours() -> None:
    assert is_ours(str(HERE.with_name("pytest")), os.environ)


def test_another_environments_is_not_ours_though_it_is_the_same_program(other: Path) -> None:
    assert not is_ours(str(other / "python"), os.environ)
    launcher = other / "torchrun"
    launcher.write_text(f"#!{other}/python\nprint()\n")
    assert not is_ours(str(launcher), os.environ)
    assert not is_ours("/bin/sh", os.environ)


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
