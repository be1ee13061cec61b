"""Environments for releases: found by what lies in them, asked, made, and nothing left of one that failed."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

import pytest

from nanocheck.core.errors import MachineError, RequestError
from nanocheck.drift import environments, pip
from nanocheck.drift.environments import Environments, parse_pythons
from nanocheck.drift.interpreters import Interpreter, environments_in, interpreter, torch_of

OURS = metadata.version("torch").partition("+")[0]


@pytest.fixture(scope="module")
def thin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that finds this one's packages: a release without five gigabytes."""
    root = tmp_path_factory.mktemp("thin") / "environment"
    thin_environment(root)
    return root


def thin_environment(root: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    (site,) = root.glob("lib/python3*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")


def faked(folder: Path, version: str) -> Path:
    """A folder that has everything of an environment that is looked at before its Python is started."""
    root = folder / f"env-{version}"
    package = root / "lib" / "python3.11" / "site-packages" / "torch"
    package.mkdir(parents=True)
    (package / "version.py").write_text(f"__version__ = '{version}'\ncuda: str = '13.0'\n")
    (root / "bin").mkdir()
    (root / "bin" / "python").touch()
    return root


def test_a_python_is_asked_for_its_torch(thin: Path) -> None:
    found = interpreter(thin / "bin" / "python")
    assert found.torch.version.partition("+")[0] == OURS
    assert found.has_numpy
    assert found.search_path.startswith(str(thin / "bin"))
    # The same libraries in another folder are the same release.
    assert found.identity == interpreter(Path(sys.executable)).identity


def test_a_python_without_torch_says_what_to_do(tmp_path: Path) -> None:
    root = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    with pytest.raises(MachineError, match="expected a torch") as error:
        interpreter(root / "bin" / "python")
    assert "pip install torch" in str(error.value.hint)


@pytest.mark.parametrize("program", ["/bin/false", "/nonexistent/python"])
def test_what_is_no_python_is_refused(program: str) -> None:
    with pytest.raises(RequestError, match="expected a Python"):
        interpreter(Path(program))


def test_environments_are_known_by_the_files_of_their_torch(tmp_path: Path) -> None:
    for version in ("2.9.0+cu128", "2.9.1+cu128", "2.12.1"):
        faked(tmp_path, version)
    (tmp_path / "empty").mkdir()
    assert [version for _, version in environments_in(tmp_path)] == ["2.12.1", "2.9.0+cu128", "2.9.1+cu128"]
    assert torch_of(tmp_path / "empty") is None
    assert list(environments_in(tmp_path / "nowhere")) == []


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Programs that would be started; none is."""
    found: list[Path] = []
    ours = interpreter(Path(sys.executable))

    def known(program: Path, *, installed: bool = False) -> Interpreter:
        found.append(program)
        return ours

    monkeypatch.setattr(environments, "interpreter", known)
    return found


def test_the_newest_that_is_meant_is_taken(tmp_path: Path, asked: list[Path]) -> None:
    for version in ("2.9.0+cu128", "2.9.1+cu128"):
        faked(tmp_path, version)
    Environments(folder=tmp_path, install=False).of("2.9")
    assert asked == [tmp_path / "env-2.9.1+cu128" / "bin" / "python"]


def test_ours_is_used_where_it_is_the_release(tmp_path: Path, asked: list[Path]) -> None:
    Environments(folder=tmp_path, install=False).of(OURS)
    assert asked == [Path(sys.executable)]


def test_other_packages_are_another_environment(tmp_path: Path, asked: list[Path]) -> None:
    faked(tmp_path, "2.9.1")
    with pytest.raises(RequestError, match="--no-install"):
        Environments(folder=tmp_path, packages=("lightning",), install=False).of("2.9")
    made = faked(tmp_path, "2.9.1+cu128")
    (made / "nanocheck-environment.json").write_text(json.dumps({"packages": ["lightning"]}))
    Environments(folder=tmp_path, packages=("lightning",), install=False).of("2.9")
    assert asked == [made / "bin" / "python"]


def test_one_that_is_not_whole_is_not_taken(tmp_path: Path, asked: list[Path]) -> None:
    (faked(tmp_path, "2.9.1") / "nanocheck-is-making-this").touch()
    with pytest.raises(RequestError, match="--no-install"):
        Environments(folder=tmp_path, install=False).of("2.9")


def test_a_program_of_another_version_than_was_said_is_refused(thin: Path) -> None:
    pythons = (("2.1", thin / "bin" / "python"),)
    with pytest.raises(RequestError, match=r"expected torch 2\.1"):
        Environments(pythons=pythons, install=False).of("2.1")


def test_one_release_is_no_drift(thin: Path) -> None:
    pythons = (("", thin / "bin" / "python"),)
    with pytest.raises(RequestError, match="at least two releases"):
        Environments(pythons=pythons, install=False).all([OURS])


def test_programs_are_named_with_their_version_or_without() -> None:
    assert parse_pythons(["2.9=/a/python", "/b=c/python", "2.9.1+cu128=d"]) == (
        ("2.9", Path("/a/python")),
        ("", Path("/b=c/python")),
        ("2.9.1+cu128", Path("d")),
    )


Make = Callable[[Path, Sequence[str]], None]


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """A package index with two releases, and installations that take no time and no room."""
    made: list[Sequence[str]] = []

    def make(root: Path, requirements: Sequence[str]) -> None:
        made.append(requirements)
        thin_environment(root)

    monkeypatch.setattr(pip, "versions", lambda python: ("2.9.1", "2.9.0"))
    monkeypatch.setattr(pip, "make", make)
    monkeypatch.setattr(environments, "NEEDS_GB", 0)
    return made


def test_what_is_missing_is_made_once(
    tmp_path: Path, index: list[Sequence[str]], capfd: pytest.CaptureFixture[str]
) -> None:
    wanted = Environments(folder=tmp_path, packages=("msgspec",))
    found = wanted.of("2.9")
    assert found.installed
    assert index == [["torch===2.9.1", "numpy", "msgspec"]]
    said = capfd.readouterr().err
    assert "GB on the disk" in said
    assert "torch 2.9.1" in said
    # It is known again by its own files, which say this environment's version.
    assert wanted._fits(found.root)
    assert not list(tmp_path.glob("*/nanocheck-is-making-this"))


@pytest.mark.parametrize("error", [MachineError("no wheel"), KeyboardInterrupt()])
def test_an_installation_that_fails_leaves_nothing(
    tmp_path: Path, index: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(root: Path, requirements: Sequence[str]) -> None:
        (root / "half").touch()
        raise error

    monkeypatch.setattr(pip, "make", fails)
    with pytest.raises(type(error)):
        Environments(folder=tmp_path).of("2.9")
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_a_build_without_cuda_is_no_release(
    tmp_path: Path, index: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pip, "make", lambda root, requirements: None)

    def no_cuda(program: Path, *, installed: bool = False) -> Interpreter:
        raise MachineError("found torch 2.9.1 without CUDA")

    monkeypatch.setattr(environments, "interpreter", no_cuda)
    with pytest.raises(MachineError, match=r"--torch 2\.9: found torch 2\.9\.1 without CUDA"):
        Environments(folder=tmp_path).of("2.9")
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_installation_left_goes_with_the_next(
    tmp_path: Path, index: list[Sequence[str]]
) -> None:
    left = tmp_path / "torch-2.9.1-abc"
    left.mkdir()
    (left / "nanocheck-is-making-this").touch()
    Environments(folder=tmp_path, packages=("msgspec",)).of("2.9")
    assert not left.exists()


def test_a_disk_without_room_is_said_before_anything_is_made(
    tmp_path: Path, index: list[Sequence[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environments, "NEEDS_GB", 10**9)
    with pytest.raises(MachineError, match="GB free"):
        Environments(folder=tmp_path).of("2.9")
    assert index == []
