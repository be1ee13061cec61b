"""doctor says which stored peaks this torch would be compared with."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from paths import ROOT

from nanocheck.cli import doctor_baselines
from nanocheck.cli.doctor_checks import PartialError
from nanocheck.virtual import installed_torch

STORED = sorted((ROOT / "baselines" / "rtx4070").glob("*.json"))


def ask(monkeypatch: pytest.MonkeyPatch, folder: Path, torch: str, *stored: str) -> str:
    """Of a folder that holds baselines of these versions of torch."""
    here = folder / "baselines" / "rtx4070"
    here.mkdir(parents=True)
    for version in stored:
        shutil.copy(STORED[0], here / f"linux-torch{version}-virtual.json")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(
        doctor_baselines, "nanocheck", SimpleNamespace(__file__=str(folder / "none" / "x.py"))
    )
    monkeypatch.setattr(installed_torch, "find_torch", lambda: SimpleNamespace(version=torch))
    return doctor_baselines.baselines()


def test_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert ask(monkeypatch, tmp_path, "2.8.0+cu128", "2.8.0+cu128", "2.9.0+cu128").startswith("115 ")


@pytest.mark.parametrize(
    ("torch", "nearest"), [("2.16.0", "2.15.0"), ("2.4.1", "2.9.1"), ("2.14.0", "2.15.0")]
)
def test_the_nearest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, torch: str, nearest: str) -> None:
    with pytest.raises(PartialError, match=rf"verdicts of {nearest} are held") as found:
        ask(monkeypatch, tmp_path, torch, "2.9.1", "2.15.0")
    assert "--update-baselines" in str(found.value.hint)


def test_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(PartialError, match="found none"):
        ask(monkeypatch, tmp_path, "2.14.1")


def test_the_two_newest_releases_have_files_of_their_own() -> None:
    releases = {path.name.split("torch")[1].split("+")[0] for path in STORED}
    assert {"2.14.1", "2.15.0"} <= releases
