"""The verb itself on the virtual card: no machine of ours has a real one."""

from __future__ import annotations

import getpass
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from terminals import surroundings

from nanocheck.calibrate.calibration import REHEARSED
from nanocheck.calibrate.workloads import workloads
from nanocheck.core import calibration
from nanocheck.core.errors import StoredDataError
from nanocheck.core.result import Provenance

COMMAND = [sys.executable, "-P", "-m", "nanocheck", "calibrate"]


def nanocheck(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=surroundings(),
        cwd=cwd,
        timeout=300,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret-folder")


@pytest.fixture(scope="module")
def rehearsed(folder: Path) -> str:
    return nanocheck("--stand-in", "--gpu", "h100", "--out", "out", cwd=folder).stdout


def test_every_measurement_runs_on_the_virtual_card_and_none_has_seconds(
    folder: Path, rehearsed: str
) -> None:
    file = calibration.load(folder / "out" / "calibration.json")
    assert file.provenance is Provenance.VIRTUAL
    assert file.environment.virtual_gpu is not None
    assert file.complete
    assert [each.id for each in file.measurements] == [each.id for each in workloads()]
    assert {each.refused for each in file.measurements} == {REHEARSED}
    assert not [each for each in file.measurements if each.timing or each.load]
    assert (file.card.name, file.card.multiprocessors) == ("NVIDIA H100 80GB HBM3", 132)
    with pytest.raises(StoredDataError):
        file.measured()
    assert "Nothing was measured" in rehearsed


def test_nothing_says_whose_machine_it_was(folder: Path, rehearsed: str) -> None:
    text = (folder / "out" / "calibration.json").read_text()
    user = getpass.getuser()
    secrets = [
        str(folder),
        folder.name,
        str(Path.home()),
        sys.prefix,
        "/tmp",
        platform.node(),
        "GPU-",
        "uuid",
    ]
    assert not [each for each in [*secrets, *([] if user == "root" else [user])] if each in text]
    assert "/" not in text


def test_what_is_there_is_not_written_over(folder: Path, rehearsed: str) -> None:
    assert "--out" in nanocheck("--stand-in", "--out", "out", cwd=folder, code=2).stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=lambda each: each.name)
def test_killed_in_the_middle_leaves_what_was_done(tmp_path: Path, number: signal.Signals) -> None:
    started = subprocess.Popen(
        [*COMMAND, "--stand-in", "--out", "out"],
        cwd=tmp_path,
        env={**surroundings(), "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    path = tmp_path / "out" / "calibration.json"

    def done() -> int:
        if not path.exists():
            return 0
        return sum(each.refused == REHEARSED for each in calibration.load(path).measurements)

    until = time.monotonic() + 200
    while done() < 3 and started.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    started.send_signal(number)
    started.wait(timeout=60)
    file = calibration.load(path)
    assert 3 <= done() < len(file.measurements)
    assert not file.complete
    if number == signal.SIGINT:
        assert started.returncode == 130
        assert {each.refused for each in file.measurements} == {REHEARSED, "interrupted"}


def test_without_a_card_it_says_what_was_expected_and_what_helps(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a GPU; remove the driver to see what is said without one")
    said = nanocheck("--gpu", "h100", cwd=tmp_path, code=3).stderr
    assert "expected NVIDIA H100 80GB HBM3" in said
    assert "hint:" in said
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "wrong",
    [["--only", "nosuch"], ["--seconds", "5"], ["--seconds", "241"], ["--gpu", "nosuch"]],
    ids=" ".join,
)
def test_a_wrong_request_is_refused_before_anything_runs(wrong: list[str], tmp_path: Path) -> None:
    nanocheck("--stand-in", *wrong, cwd=tmp_path, code=2)
    assert not list(tmp_path.iterdir())
