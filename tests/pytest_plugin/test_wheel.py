"""The built wheel in a folder that has nothing of the project: suites and baselines come with it."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from paths import ROOT

IDS = ("gpt2-768-b4-a1-bf16-eager", "gpt2-768-b16-a32-bf16-eager")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of wheel and sdist."""
    pytest.importorskip("hatchling", reason="needs hatchling, which builds the distributions")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", out], cwd=ROOT, check=True)
    return out


@pytest.fixture(scope="module")
def site(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is installed."""
    folder = tmp_path_factory.mktemp("site")
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_suites_of_the_wheel_compare_with_its_baselines(site: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--pyargs", "nanocheck.suites", "-p", "no:cacheprovider", "-q"]
    chosen = ["--device", "virtual", "-k", " or ".join(f"test_memory and {each}]" for each in IDS)]
    done = subprocess.run(
        [*command, *chosen],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site), "CI": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    assert f"{site}/nanocheck/baselines" in done.stdout or "baselines: 2 " in done.stdout
    assert not list(tmp_path.glob("suites*"))


def test_the_wheel_holds_the_whole_package(site: Path) -> None:
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {name for name in tracked() if name.startswith("nanocheck/")} <= there
    assert {f"nanocheck/{name}" for name in tracked() if name.startswith(("suites/", "baselines/"))} <= there


def tracked() -> set[str]:
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("needs a git checkout, which lists what is tracked")
    return set(found.stdout.split())


def test_the_sdist_holds_all_that_the_tests_read(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    kept = ("nanocheck", "suites", "tests", "baselines", "reports", "docs", "benchmarks")
    wanted = {name for name in tracked() if name.split("/")[0] in kept}
    assert wanted <= names


def test_an_editable_install_copies_nothing(tmp_path: Path) -> None:
    """Copies of suites and baselines would go stale; the checkout is what is installed."""
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling, which builds it")
    (built,) = wheel.WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["editable"])
    with zipfile.ZipFile(built) as archive:
        outside = [name for name in archive.namelist() if ".dist-info/" not in name]
        assert [archive.read(name).decode().strip() for name in outside] == [str(ROOT)]
