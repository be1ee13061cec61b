"""The road of a real GPU, walked on the virtual one as if it were real.

No machine of this project has a GPU. A whole pytest run starts here with the virtual GPU preloaded and a card
chosen, so that its driver library, its names and its memory are met as those of a real card; what must never
happen is that a record of it says "measured".
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import RunResult
from nanocheck.core.units import GIB, MIB
from nanocheck.report.report_file import load
from nanocheck.virtual import card_environment, prepare

MATRIX = """
[[group]]
name = "small"
why = "two that fit"
n_layer = 2
batch = [2, 4]
"""
LARGE = """
[[group]]
name = "large"
why = "13 GiB"
batch = 12
"""


def run(
    tmp_path: Path, *arguments: str, card: str | None, code: int = 0, matrix: str = MATRIX
) -> tuple[str, list[RunResult]]:
    """A pytest run over a small matrix; its output and the records of its report."""
    (tmp_path / "matrix.toml").write_text(matrix)
    environment = {
        key: value for key, value in os.environ.items() if key not in ("CI", "GITHUB_STEP_SUMMARY")
    }
    if card is not None:
        environment |= prepare().launch_environment()
        environment |= card_environment(Target(kind="virtual", gpu=find_gpu(card)))
    options = [f"--nanocheck-{name}={tmp_path / name}" for name in ("baselines", "reports", "journal")]
    options += ["-p", "no:cacheprovider", f"--nanocheck-matrix={tmp_path / 'matrix.toml'}"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "suites/memory", *options, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == code, ran.stdout + ran.stderr
    if code:
        return ran.stdout + ran.stderr, []
    # A matrix of one's own never replaces the report of the project.
    (report,) = (tmp_path / "journal" / "reports").glob("*.json")
    rows = load(report).rows
    assert rows
    return ran.stdout, [row.result for row in rows]


@pytest.fixture(scope="module")
def as_real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, list[RunResult]]:
    """Folder, output and records of a run on the asked card, which the driver offers."""
    folder = tmp_path_factory.mktemp("as-real")
    return folder, *run(folder, "--device=real", "--gpu=rtx4070", "--update-baselines", card="rtx4070")


def test_the_asked_card_is_there_and_is_used(as_real: tuple[Path, str, list[RunResult]]) -> None:
    folder, said, records = as_real
    assert "NVIDIA GeForce RTX 4070 is here" in said
    assert "MEASURED" not in said
    assert len(records) == 2
    for record in records:
        assert record.outcome == "completed"
        assert record.device.kind == "real"
        assert record.provenance == "virtual"  # found out by the process that ran
    # What was virtual is never stored as an expectation of a real card.
    stored = [path.name for path in (folder / "baselines").rglob("*.json")]
    assert stored
    assert not [name for name in stored if "measured" in name]


def test_a_virtual_and_a_so_called_real_run_agree_to_the_byte(
    as_real: tuple[Path, str, list[RunResult]], tmp_path: Path
) -> None:
    virtual = run(tmp_path, "--device=virtual", "--gpu=rtx4070", "--update-baselines", card=None)[1]
    assert [record.main.peaks for record in as_real[2]] == [record.main.peaks for record in virtual]


def test_another_card_is_capped_says_so_and_ends_where_the_asked_one_would(tmp_path: Path) -> None:
    """A batch that needs 13 GiB does not run on 12 GB, even where a card of 24 GB carries it."""
    options = ["--device=real", "--gpu=rtx4070", "--update-baselines"]
    said, (record,) = run(tmp_path, *options, card="rtx4090", matrix=LARGE)
    assert "NVIDIA GeForce RTX 4090" in said
    assert record.device.capped_from == "NVIDIA GeForce RTX 4090"
    assert record.device.capacity_bytes == 11874 * MIB
    assert record.outcome == "oom"


@pytest.mark.slow
def test_what_a_capped_card_refuses_fits_the_whole_one(tmp_path: Path) -> None:
    options = ["--device=real", "--gpu=rtx4090", "--update-baselines"]
    (record,) = run(tmp_path, *options, card="rtx4090", matrix=LARGE)[1]
    assert record.outcome == "completed"


@pytest.mark.slow
def test_auto_takes_the_card_that_is_asked_for_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "same").mkdir()
    (tmp_path / "other").mkdir()
    same = run(tmp_path / "same", "--gpu=rtx4070", "--update-baselines", card="rtx4070")[1]
    other = run(tmp_path / "other", "--gpu=t4", "--update-baselines", card="rtx4070")[1]
    assert {record.device.kind for record in same} == {"real"}
    assert {record.device.kind for record in other} == {"virtual"}


def test_a_smaller_card_cannot_stand_for_a_larger_one(tmp_path: Path) -> None:
    said, _ = run(tmp_path, "--device=real", "--gpu=rtx4090", card="rtx4070", code=4)
    assert "RTX 4070" in said
    assert f"{24 * GIB}" not in said


def test_no_card_at_all(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a GPU; remove the driver to see what is said without one")
    run(tmp_path, "--device=real", card=None, code=4)
