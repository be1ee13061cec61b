"""The C of the virtual GPU as source text: it compiles without a warning and has one format."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from nanocheck.virtual import build as building
from nanocheck.virtual.wheels import find_wheels


#: Everything in C: what is shipped, and the programs of the tests.
C_FILES = sorted([*building._SOURCES.rglob("*.[ch]"), *(Path(__file__).parent / "csrc").glob("*.[ch]")])


def required(program: str) -> str:
    """Where the program lies; the test is skipped where it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_no_compiler_warns(compiler: str, tmp_path: Path) -> None:
    """Every source, and the stubs that build.py writes, as the user's compiler sees them."""
    stubs = tmp_path / "stubs.c"
    stubs.write_text(building.stub_source(["cufftExecC2C", "cudaMalloc"]))
    sources = [*building.c_sources(), *building.nvml_sources(), stubs]
    strict = [required(compiler), *building.compiler_flags(find_wheels()), "-Werror", '-DNC_VERSION="test"']
    output = ["-shared", "-o", str(tmp_path / "all.so")]  # some warnings come only with the machine code
    done = subprocess.run([*strict, *output, *map(str, sources)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_format_is_clang_formats() -> None:
    done = subprocess.run(
        [required("clang-format"), "--dry-run", "--Werror", *map(str, C_FILES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + "\nclang-format -i <file> formats it"
