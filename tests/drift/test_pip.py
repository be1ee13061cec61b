"""Which build is installed, from what pip says there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.drift import pip

#: As pip 23 to 26 print it; a folder of wheels on the machine adds a build without CUDA.
SAID = """torch (2.15.0)
Available versions: 2.15.0, 2.14.1, 2.14.0, 2.13.0+cpu, 2.13.0, 2.12.1, 2.9.1, 2.9.0, 2.7.0+cpu
  INSTALLED: 2.14.1
  LATEST:    2.15.0
"""


def test_versions_are_read_from_the_one_line_that_has_them() -> None:
    found = pip.parse_versions(SAID)
    assert found[:2] == ("2.15.0", "2.14.1")
    assert len(found) == 9
    assert pip.parse_versions("ERROR: No matching distribution found for torch") == ()


@pytest.mark.parametrize(
    ("wanted", "version"), [("2.13", "2.13.0"), ("2.13.0", "2.13.0"), ("2.9", "2.9.1"), ("2.14.0", "2.14.0")]
)
def test_a_build_without_cuda_is_not_taken_although_pip_prefers_it(wanted: str, version: str) -> None:
    assert pip.chosen(wanted, pip.parse_versions(SAID)) == version


def test_a_version_that_has_no_build_with_cuda_says_so() -> None:
    with pytest.raises(RequestError, match="CUDA") as error:
        pip.chosen("2.7", pip.parse_versions(SAID))
    assert "2.7.0+cpu" in error.value.problem


def test_a_version_that_does_not_exist_names_its_neighbours() -> None:
    with pytest.raises(RequestError) as error:
        pip.chosen("2.11", pip.parse_versions(SAID))
    assert "2.12.1" in error.value.problem
    assert "2.9.1" in error.value.problem


def test_an_index_that_does_not_answer_is_the_machines_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ERROR: no route to the index' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(MachineError, match="no route to the index"):
        pip.versions(python)
