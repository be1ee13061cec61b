"""A run that was asked of the virtual GPU is answered only if its processes had it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.attribution.event_reader import read
from nanocheck.core.errors import MachineError
from nanocheck.measuring.other_gpus import refuse_other_gpus
from nanocheck.virtual import prepare
from nanocheck.virtual.build import LIBRARY, NVML

SCRIPT = "import torch; torch.ones(3, device='cuda')"


def journal(folder: Path, name: str, *entries: object) -> None:
    (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in entries))


def start(virtual: str | None, pid: int = 7) -> dict[str, object]:
    return {"kind": "start", "pid": pid, "virtual": virtual, "device": "NVIDIA GeForce RTX 4090"}


def test_each_process_is_looked_at(tmp_path: Path) -> None:
    refuse_other_gpus(read(tmp_path))
    journal(tmp_path, "1-a", {"kind": "graph"}, start("abc"))
    journal(tmp_path, "2-a")
    (tmp_path / "3-a.jsonl").write_bytes(b"[1]\n\xff{{{\n" + b"[" * 100_000 + b"\n" + b'{"kind": "st')
    refuse_other_gpus(read(tmp_path))
    journal(tmp_path, "4-a", {"kind": "mark"}, start(None, pid=4711))
    with pytest.raises(MachineError, match="process 4711 on NVIDIA GeForce RTX 4090") as caught:
        refuse_other_gpus(read(tmp_path))
    assert caught.value.exit_code == 3
    assert "LD_PRELOAD" in str(caught.value.hint)


@pytest.fixture
def another_card(tmp_path: Path) -> str:
    """``LD_PRELOAD`` of a library that plays the machine's own card: it answers and does not name itself."""
    real = tmp_path / "real"
    shutil.copytree(prepare().folder, real)
    for name in (LIBRARY, NVML):
        data = (real / name).read_bytes()
        (real / name).write_bytes(data.replace(b"nanocheck_virtual_version", b"cuSomethingElseAltogether"))
    return f"{real / LIBRARY}:{real / NVML}"


def run_virtual(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(SCRIPT)
    verb = [sys.executable, "-m", "nanocheck", "run", "--device", "virtual", "--json", "answer.json", "--"]
    return subprocess.run([*verb, *command], cwd=folder, capture_output=True, text=True, check=False)


def test_a_script_that_lost_the_virtual_gpu_gets_no_answer(tmp_path: Path, another_card: str) -> None:
    (tmp_path / "loses.py").write_text(
        "import os, sys\n"
        f"os.environ['LD_PRELOAD'] = {another_card!r}\n"
        "os.execv(sys.executable, [sys.executable, 'train.py'])\n"
    )
    done = run_virtual(tmp_path, sys.executable, "loses.py")
    assert done.returncode == 3, done.stderr
    assert "expected every process on the virtual GPU" in done.stderr
    assert "SAFE" not in done.stderr
    assert not (tmp_path / "answer.json").exists()


def test_what_stands_before_python_cannot_take_it_away(tmp_path: Path, another_card: str) -> None:
    done = run_virtual(tmp_path, "env", f"LD_PRELOAD={another_card}", sys.executable, "train.py")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "answer.json").read_text())["result"]["provenance"] == "virtual"
