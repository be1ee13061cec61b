"""The cache: what is loaded from it is this user's own, and its path is one that the loader takes whole."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import TARGET

from nanocheck.cli import doctor_checks
from nanocheck.core.errors import MachineError
from nanocheck.measuring import command_environment
from nanocheck.virtual import build as building
from nanocheck.virtual import cache, preload, prepare
from nanocheck.virtual.installed_torch import find_torch
from nanocheck.virtual.trust import doubt, doubt_of

_OWN = {1000, 0}
#: Runs in a process with the virtual GPU: which libraries of the cache it has, by the kernel's own list.
_MAPPED = "print(*(line.split(maxsplit=5)[5] for line in open('/proc/self/maps') if 'libcuda' in line))"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No answer is kept from before, no home, and links in a temporary folder of this test."""
    links = tmp_path / "links"
    links.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(links))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    cache._say_once.cache_clear()
    preload._check.cache_clear()
    yield
    preload._check.cache_clear()


@pytest.fixture(scope="module")
def whole() -> Path:
    """The real library, of the cache that the tests were started with: before ``fresh`` puts another home."""
    return building.build_library(find_torch())


@pytest.fixture
def compiled(whole: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where the library was compiled: the real one is compiled once, and copied from then on."""
    made: list[Path] = []

    def copy(_: object, __: object, folder: Path) -> None:
        cache.make_room(folder.parent)
        subprocess.run(["cp", "-r", whole, folder], check=True)
        made.append(folder)

    monkeypatch.setattr(building, "_build", copy)
    return made


@pytest.mark.parametrize("name", ["a b", "a:b", "$ORIGIN", "  ", "a\tb", "plain", "ä"])
def test_any_name_of_the_folder_is_loaded(
    name: str, compiled: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before, the loader took such a path apart, and the script ran without the virtual GPU."""
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / name))
    environment = {**os.environ, **prepare().launch_environment()}
    found = subprocess.run(
        [sys.executable, "-c", _MAPPED], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stderr == ""
    assert str(tmp_path / name / "virtual") in found.stdout
    assert compiled[0].resolve().is_relative_to(tmp_path / name)


def test_no_place_for_a_link_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "_USUAL", ())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "with space"))
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "a b"))
    with pytest.raises(MachineError, match="without spaces") as caught:
        prepare()
    assert caught.value.hint is not None


def test_a_link_of_somebody_else_is_not_followed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder with the links' name that others can write: they could have put anything there."""
    monkeypatch.setattr(cache, "_USUAL", ())
    (tmp_path / "links" / f"nanocheck-{os.geteuid()}").mkdir(mode=0o777)
    (tmp_path / "links" / f"nanocheck-{os.geteuid()}").chmod(0o777)
    with pytest.raises(MachineError, match="no folder for a link"):
        cache.without_odd_characters(tmp_path / "a b")


def test_a_library_that_the_loader_does_not_take_is_told(
    compiled: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    folder = building.build_library(find_torch())
    (folder / building.LIBRARY).write_bytes(b"no library")
    with pytest.raises(MachineError, match="expected the virtual GPU in a process that preloads it"):
        prepare()


# -- whose it is ------------------------------------------------------------------------------------


def status(owner: int, mode: int, group: int = 54321) -> os.stat_result:
    return os.stat_result((mode, 1, 1, 1, owner, group, 0, 0, 0, 0))


@given(st.integers(0, 0o1777), st.sampled_from([0, 1000, 1001, 65534]), st.booleans())
def test_only_what_no_other_user_can_write_is_trusted(mode: int, owner: int, is_folder: bool) -> None:
    """Against the words of the rule, over all modes."""
    found = doubt_of(status(owner, mode | (stat.S_IFDIR if is_folder else stat.S_IFREG)), _OWN)
    others_write = bool(mode & 0o022) and not (is_folder and mode & 0o1000)
    assert (found is None) == (owner in _OWN and not others_write)


def test_every_folder_above_counts(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    (deep / "file").write_text("")
    assert doubt(deep / "file") is None
    for each in (deep / "file", deep, deep.parent, deep.parent.parent):
        before = each.stat().st_mode
        each.chmod(0o777)
        assert str(each) in str(doubt(deep / "file"))
        assert str(each) in str(doubt(deep / "missing")) or each.name == "file"
        each.chmod(before)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    assert str(tmp_path / "open") in str(doubt(tmp_path / "link" / "file"))


@pytest.mark.parametrize("what", ["the root", "the room", "a room of Inductor's"])
def test_a_cache_that_others_can_write_is_left_alone(
    what: str,
    compiled: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "shared"
    odd = {"the root": root, "the room": root / "virtual", "a room of Inductor's": root / "inductor"}[what]
    odd.mkdir(parents=True)
    odd.chmod(0o777)
    monkeypatch.setenv("NANOCHECK_CACHE", str(root))
    gpu = prepare()
    assert gpu.folder.is_relative_to(tmp_path / "home" / "nanocheck")
    said = capsys.readouterr().err
    assert said.count("\n") == 1  # once, although it is asked for several times
    assert f"{odd} can be written by others (mode 0777)" in said
    assert str(tmp_path / "home" / "nanocheck") in said
    assert compiled == [gpu.folder]


def test_a_library_that_others_could_have_changed_is_compiled_anew(
    compiled: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    first = building.build_library(find_torch())
    assert building.build_library(find_torch()) == first
    (first / building.NVML).chmod(0o666)
    own = building.build_library(find_torch())
    assert (own.name, compiled) == (f"{first.name}-own", [first, own])
    assert str(first / building.NVML) in capsys.readouterr().err
    assert building.build_library(find_torch()) == own  # and kept
    assert len(compiled) == 2
    (own / building.LIBRARY).chmod(0o666)
    with pytest.raises(MachineError, match="only you can change"):
        building.build_library(find_torch())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_library_of_another_user_is_not_loaded(
    compiled: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    first = prepare().folder
    os.chown(first / building.LIBRARY, 65534, 65534)
    own = prepare().folder
    assert own != first
    os.chown(first.parent, 65534, 65534)
    assert prepare().folder.is_relative_to(tmp_path / "home")


def test_what_is_built_is_trusted_whatever_the_umask(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))

    def compile_nothing(_: object, __: object, ___: object, work: Path) -> None:
        for name in (building.LIBRARY, building.NVML, building.CLOCK):
            (work / name).write_bytes(b"")

    monkeypatch.setattr(building, "_compile", compile_nothing)
    before = os.umask(0)
    try:
        folder = building.build_library(find_torch())
    finally:
        os.umask(before)
    assert doubt(folder / building.LIBRARY) is None
    assert building.build_library(find_torch()) == folder


def test_doctor_says_which_cache_is_used_and_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "fine"))
    assert doctor_checks.cache() == str(tmp_path / "fine")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "shared"))
    with pytest.raises(doctor_checks.PartialError, match=r"mode 0777.*home/nanocheck is used instead"):
        doctor_checks.cache()


def test_a_place_that_python_would_take_apart_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not the cache but nanocheck itself: the observer is found by PYTHONPATH."""
    monkeypatch.setattr(command_environment, "_OBSERVE", tmp_path / "a:b" / "observe")
    with pytest.raises(MachineError, match="without ':'"):
        command_environment.child_environment(TARGET, tmp_path)


def test_nothing_is_made_in_the_temporary_folder_before_a_card_is_chosen(tmp_path: Path) -> None:
    """A server that imports Inductor asks it for its folder, which makes it."""
    asked = "from torch._inductor.runtime.cache_dir_utils import cache_dir; print(cache_dir())"
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**os.environ, **prepare().launch_environment(), "TMPDIR": str(temporary)}
    made = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True
    )
    assert Path(made.stdout.strip()).is_relative_to(cache.cache_folder())
    assert not list(temporary.iterdir())
