"""The C of the virtual GPU as source text: no warnings, one format, layers without a circle."""

from __future__ import annotations

import graphlib
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from paths import CSRC

from nanocheck.virtual import build as building
from nanocheck.virtual.installed_torch import find_torch

#: Everything in C: what is shipped, and the programs of the tests.
C_FILES = sorted([*building._SOURCES.rglob("*.[ch]"), *(CSRC).rglob("*.[ch]")])

#: The folders of csrc/ in their order (README.md there): each may use itself and those before it.
LAYERS = ("base", "memory", "values", "work", "answers")


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
    stubs.write_text(building.stub_source(["cusparseSpGEMM_compute", "cudaMalloc"]))
    sources = [*building.c_sources(), *building.nvml_sources(), *building.clock_sources(), stubs]
    strict = [required(compiler), *building.compiler_flags(find_torch()), "-Werror", '-DNC_VERSION="test"']
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


def unit(path: Path) -> str:
    """``values/known`` for values/known.c and values/known.h: they are one piece."""
    return path.relative_to(building._SOURCES).with_suffix("").as_posix()


def includes() -> dict[str, set[str]]:
    """Which piece includes headers of which."""
    found: dict[str, set[str]] = {}
    for path in building._SOURCES.rglob("*.[ch]"):
        names = re.findall(r'^#include "(.+)\.h"', path.read_text(), re.MULTILINE)
        found.setdefault(unit(path), set()).update(set(names) - {unit(path)})
    return found


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Which piece calls functions of which, as the linker sees it."""
    folder = tmp_path_factory.mktemp("objects")
    flags = [*building.find_compiler(), *building.compiler_flags(find_torch()), '-DNC_VERSION="test"', "-c"]
    defined: dict[str, str] = {}
    wanted: dict[str, set[str]] = defaultdict(set)
    for path in building.c_sources():
        made = folder / (unit(path).replace("/", "-") + ".o")
        subprocess.run([*flags, str(path), "-o", str(made)], check=True)
        table = subprocess.run(["nm", str(made)], capture_output=True, text=True, check=True).stdout
        for line in table.splitlines():
            kind, name = line.split()[-2:]
            if kind == "U":
                wanted[unit(path)].add(name)
            elif kind.isupper():
                defined[name] = unit(path)
    assert len(defined) > 300
    return {user: {defined[name] for name in names if name in defined} for user, names in wanted.items()}


def upwards(graph: dict[str, set[str]]) -> list[str]:
    """Uses of a layer that comes later, or of what is no layer."""
    order = {name: index for index, name in enumerate(LAYERS)}
    found = []
    for user, used in graph.items():
        for other in used:
            if order[user.split("/")[0]] < order.get(other.split("/")[0], len(order)):
                found.append(f"{user} uses {other}")
    return sorted(found)


def test_every_file_lies_in_a_layer() -> None:
    assert {path.parent.name for path in building.c_sources()} == set(LAYERS)
    assert {path.parent.name for path in building.nvml_sources()} == {"nvml"}
    assert {path.parent.name for path in building.clock_sources()} == {"clock"}


def test_includes_and_calls_form_layers_without_a_circle(calls: dict[str, set[str]]) -> None:
    included = {user: used for user, used in includes().items() if not user.startswith(("nvml/", "clock/"))}
    assert upwards(included) == []
    assert upwards(calls) == []
    both = {each: included.get(each, set()) | calls.get(each, set()) for each in {*included, *calls}}
    list(graphlib.TopologicalSorter(both).static_order())  # raises CycleError


def test_a_circle_and_a_use_upwards_are_noticed() -> None:
    assert upwards({"base/card": {"memory/arena"}, "work/capture": {"base/card"}}) == [
        "base/card uses memory/arena"
    ]
    with pytest.raises(graphlib.CycleError):
        list(graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())


def test_no_file_is_long() -> None:
    lines = {
        unit(path) + path.suffix: len(path.read_text().splitlines())
        for path in C_FILES
        if path.is_relative_to(building._SOURCES)
    }
    assert {name: count for name, count in lines.items() if count > 200} == {}


def test_what_the_files_share_stays_inside(tmp_path: Path) -> None:
    library = building.build_library(find_torch()) / building.LIBRARY
    table = subprocess.run(
        ["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True
    )
    assert [
        line.split()[-1] for line in table.stdout.splitlines() if line.split()[-1].startswith("nc_")
    ] == []


def test_the_readers_map_names_every_file() -> None:
    text = (building._SOURCES / "README.md").read_text()
    sources = [*building.c_sources(), *building.nvml_sources()]
    missing = [path.stem for path in sources if f"`{path.stem}`" not in text and path.parent.name != "nvml"]
    assert missing == []
    assert all(f"`{layer}/`" in text for layer in (*LAYERS, "nvml", "clock"))
