"""Several threads, and forks, inside the virtual GPU at once: programs in C, linked with its library."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from paths import CSRC
from virtual_calls import CARD

from nanocheck.virtual import build as building
from nanocheck.virtual.installed_torch import find_torch

PROGRAMS = CSRC
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Compiles one of tests/csrc/ and runs it on a virtual RTX 4070.

    It is linked with the library as it ships, or with these ``parts`` of the sources.
    """

    def run(
        source: str, *arguments: str, parts: Sequence[str] = (), flags: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        folder = building.build_library(find_torch())
        linked = [str(folder / name) for name in (building.LIBRARY, building.NVML)]
        if parts:
            linked = [str(path) for path in building.c_sources() if path.stem in parts]
        program = tmp_path / "program"
        compiler = [*building.find_compiler(), *building.compiler_flags(find_torch()), "-Werror"]
        output = ["-o", str(program), str(PROGRAMS / source), *linked, f"-Wl,-rpath,{folder}", "-lpthread"]
        subprocess.run([*compiler, *flags, '-DNC_VERSION="test"', *output], check=True)
        return subprocess.run(
            [str(program), *arguments],
            env={**os.environ, "NANOCHECK_CARD": CARD},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_a_child_calls_in_after_a_fork_while_other_threads_are_inside(run: Run) -> None:
    done = run("fork_while_busy.c", "200", "10")
    assert done.stdout == "0 children hung, 0 failed\n", done.stderr


def test_what_one_thread_loses_does_not_come_back_with_what_another_writes(run: Run) -> None:
    done = run("known_between_threads.c", "10000000")
    assert done.returncode == 0, done.stdout
    assert "10000000 rounds, 0 times" in done.stdout


def test_collectives_are_counted_once_while_others_are_given_up(run: Run) -> None:
    done = run(
        "collectives_given_up.c",
        "200",
        parts=("clock", "counters", "locks", "report"),
        flags=("-DNC_WAITS_MS=1",),
    )
    assert done.stdout == "0 left, lowest 0\n"
