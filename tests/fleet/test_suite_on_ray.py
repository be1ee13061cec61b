"""``pytest suites/ --nanocheck-ray``: the same files, byte for byte, as from one machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from paths import ROOT

pytest.importorskip("ray", reason="Ray is not installed: pip install 'pytest-nanocheck[ray]'")

MATRIX = """
[[group]]
name = "tiny"
why = "what fits anywhere, and what fits nowhere"
n_layer = 1
n_embd = 32
n_head = 2
vocab_size = 64
block_size = 16
batch = [1, 2, 3, 4]

[[group]]
name = "large"
why = "hundreds of GiB"
batch = 4096
"""


def suite(folder: Path, *arguments: str, code: int = 0) -> str:
    folder.mkdir(exist_ok=True)
    (folder / "matrix.toml").write_text(MATRIX)
    places = [f"--nanocheck-{name}={folder / name}" for name in ("baselines", "reports", "journal")]
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "suites/memory", "-p", "no:cacheprovider", "--device=virtual"),
            *(*places, f"--nanocheck-matrix={folder / 'matrix.toml'}", *arguments),
        ],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key not in ("CI", "GITHUB_STEP_SUMMARY")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def found(folder: Path) -> tuple[dict[str, bytes], list[Any]]:
    """Baselines as bytes, and the report's rows without what a clock said."""
    baselines = {path.name: path.read_bytes() for path in (folder / "baselines").rglob("*.json")}
    (report,) = (folder / "journal" / "reports").glob("*.json")
    rows = json.loads(report.read_text())["rows"]
    for row in rows:
        row["result"]["seconds"] = None
    return baselines, rows


def test_the_suite_finds_the_same_on_a_cluster_to_the_byte(tmp_path: Path) -> None:
    suite(tmp_path / "one", "--update-baselines")
    suite(tmp_path / "ray", "--update-baselines", "--nanocheck-ray=local")
    baselines, rows = found(tmp_path / "ray")
    assert len(rows) == 5
    assert len(baselines) == 1
    assert (baselines, rows) == found(tmp_path / "one")


def test_workers_of_xdist_do_not_each_open_a_cluster(tmp_path: Path) -> None:
    said = suite(tmp_path / "xdist", "--nanocheck-ray=local", "-n2", code=4)
    assert "leave -n away" in said
