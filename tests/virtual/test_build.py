"""Building the virtual GPU: what it reads, where it keeps the result, and what it says when it cannot."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.core.errors import MachineError
from nanocheck.virtual import build as building
from nanocheck.virtual.build import build_library, find_compiler
from nanocheck.virtual.cache import cache_folder
from nanocheck.virtual.installed_torch import InstalledTorch, find_torch
from nanocheck.virtual.symbols import driver_symbols, needed_symbols


@pytest.fixture(scope="module")
def torch() -> InstalledTorch:
    return find_torch()


@pytest.fixture(scope="module")
def needed(torch: InstalledTorch) -> set[str]:
    return set(needed_symbols(torch))


def test_symbols_come_from_the_wheels(needed: set[str]) -> None:
    assert {"cudaMalloc", "cublasGemmEx", "cublasLtMatmul", "cudnnBackendExecute", "ncclAllReduce"} <= needed
    assert {"cuMemCreate", "cuMemGetAddressRange_v2", "cuGetProcAddress_v2"} <= needed
    assert not {name for name in needed if name.startswith(("_Z", "nvrtc", "cupti", "cuFile"))}


def test_every_symbol_is_answered_or_stops_by_name(torch: InstalledTorch, needed: set[str]) -> None:
    """The library that was built defines each of them; none falls through to NVIDIA's own."""
    library = build_library(torch) / building.LIBRARY
    table = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    defined = {line.split()[-1] for line in table.stdout.splitlines()}
    assert needed - defined == set()
    assert "nc_card_get" not in defined  # what the rooms share stays inside


def test_the_driver_is_read_from_the_headers(torch: InstalledTorch) -> None:
    names = driver_symbols(torch)
    assert {"cuInit", "cuMemMap", "cuLaunchKernel"} <= names
    assert len(names) > 400


def test_headers_that_are_missing_are_named(
    torch: InstalledTorch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # CUDA of another major version: our own headers are not those of its libraries.
    bare = dataclasses.replace(torch, folder=tmp_path / "torch", cuda="99.0", search_path=(), environment={})
    monkeypatch.setattr(InstalledTorch, "_include_places", lambda _: iter(()))
    with pytest.raises(MachineError, match=r"cuda\.h"):
        driver_symbols(bare)


def test_a_second_build_is_the_first_ones_folder(
    torch: InstalledTorch, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build_library(torch)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    assert build_library(torch) == first  # needs no compiler any more


def test_other_sources_are_another_build(
    torch: InstalledTorch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copy = tmp_path / "csrc"
    shutil.copytree(building._SOURCES, copy)
    before = building.source_hash()
    monkeypatch.setattr(building, "_SOURCES", copy)
    assert building.source_hash() == before
    (copy / "README.md").write_text("words compile nothing")
    assert building.source_hash() == before
    seen = {before}
    for path in sorted(copy.rglob("*.[ch]")):  # each file counts, in whatever folder it lies
        with path.open("a") as file:
            file.write("/* changed */")
        seen.add(building.source_hash())
    assert len(seen) == 1 + len(list(copy.rglob("*.[ch]")))


def test_no_compiler(torch: InstalledTorch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(MachineError, match="expected a C compiler") as caught:
        build_library(torch)
    assert caught.value.exit_code == 3
    assert "apt-get install gcc" in str(caught.value)


def test_cc_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", sys.executable)
    assert find_compiler() == [sys.executable]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [("{0} -O0 -g", ["{0}", "-O0", "-g"]), ("'{0}' '-DX=a b'", ["{0}", "-DX=a b"]), ("  {0}  ", ["{0}"])],
)
def test_cc_may_have_arguments(chosen: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", chosen.format(sys.executable))
    assert find_compiler() == [word.format(sys.executable) for word in words]


def test_cc_may_be_a_path_with_a_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "c c").symlink_to(sys.executable)
    monkeypatch.setenv("CC", str(tmp_path / "c c"))
    assert find_compiler() == [str(tmp_path / "c c")]


@pytest.mark.parametrize("chosen", ["no-such-compiler", "no-such-compiler -O0", "'", '"cc'])
def test_cc_that_is_no_program_is_refused(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", chosen)
    with pytest.raises(MachineError, match=r"\$CC") as caught:
        find_compiler()
    assert "unset CC" in str(caught.value)


def test_a_compiler_without_room_on_the_disk(
    torch: InstalledTorch, needed: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(building, "needed_symbols", lambda _: sorted(needed))
    fake = tmp_path / "cc"
    fake.write_text("#!/bin/sh\necho 'cc: fatal error: write: No space left on device' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MachineError, match="C compiler failed") as caught:
        build_library(torch)
    assert caught.value.hint is not None
    assert "free some space" in caught.value.hint


def test_a_compiler_that_fails_is_quoted(
    torch: InstalledTorch, needed: set[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(building, "needed_symbols", lambda _: sorted(needed))  # reading them takes seconds
    fake = tmp_path / "cc"
    fake.write_text("#!/bin/sh\necho 'nc.h:1: no such thing' >&2\nexit 7\n")
    fake.chmod(0o755)
    monkeypatch.setenv("CC", str(fake))
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "cache"))
    with pytest.raises(MachineError, match=r"exit 7.*\n.*no such thing"):
        build_library(torch)
    assert list((tmp_path / "cache" / "virtual").iterdir()) == []  # nothing half-built stays


def test_a_cache_that_cannot_be_written(
    torch: InstalledTorch, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NANOCHECK_CACHE", str(tmp_path / "file" / "below"))
    with pytest.raises(MachineError, match="cannot write the compiled virtual GPU") as caught:
        build_library(torch)
    assert "NANOCHECK_CACHE" in str(caught.value)


def test_the_cache_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NANOCHECK_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "nanocheck"


def fake_torch(folder: Path, text: str) -> Path:
    (folder / "torch").mkdir(parents=True)
    (folder / "torch" / "__init__.py").write_text("")
    (folder / "torch" / "version.py").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__version__ = '2.14.1+cpu'\ncuda: str | None = None\n", r"expected a CUDA build.*2\.14\.1\+cpu"),
        ("__version__ = '2.14.1'\ncuda = '13.0'\n", "the CUDA libraries it is linked with are not found"),
        ("__version__ = (", "cannot read version.py"),
    ],
)
def test_the_wrong_torch_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, said: str
) -> None:
    monkeypatch.setattr(sys, "path", [str(fake_torch(tmp_path, text))])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    with pytest.raises(MachineError, match=said) as caught:
        find_torch()
    assert "pip install" in str(caught.value)


def test_no_torch_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(MachineError, match="found none"):
        find_torch()
