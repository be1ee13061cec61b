"""Programs that know nothing of nanocheck run on the virtual GPU to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.device import Device
from nanocheck.gpus import find_gpu
from nanocheck.units import GIB, MIB
from nanocheck.virtual import card_environment, prepare

HERE = Path(__file__).parent


def run(script: str, *arguments: str, gpu: str) -> dict[str, str]:
    """What a script prints as ``name value``, run to its end on the virtual card."""
    pytest.importorskip("transformers", reason="a test dependency: pip install -e .[dev]")
    card = Device(kind="virtual", gpu=find_gpu(gpu))
    environment = {
        **os.environ,
        **prepare().launch_environment(),
        **card_environment(card),
        "HF_HUB_OFFLINE": "1",
    }
    ran = subprocess.run(
        [sys.executable, str(HERE / script), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return dict(line.split(" ", 1) for line in ran.stdout.splitlines() if line.count(" ") == 1)


@pytest.mark.parametrize("gpu", ["h100"])  # an RTX 4070 has a Trainer in test_run_clients.py
def test_an_unmodified_transformers_trainer(gpu: str, tmp_path: Path) -> None:
    told = run("clients_trainer.py", str(tmp_path), gpu=gpu)
    assert told["device"] == "cuda:0"
    assert told["done"] == "3"
    # 4.5 M parameters with gradients and two moments of 4 bytes each are 70 MiB; the rest is activations.
    assert 70 * MIB < int(told["peak"]) < GIB
    assert any(tmp_path.glob("checkpoint-3/*"))


@pytest.mark.parametrize(
    ("batch", "length", "allocated_mib", "reserved_mib"), [(4, 128, 2107.37, 2368), (8, 256, 3037.84, 3330)]
)
def test_bert_against_a_real_t4(batch: int, length: int, allocated_mib: float, reserved_mib: float) -> None:
    """Measured on a real Tesla T4 with torch 2.11: highwaterlabs/torch-preflight, measured_peaks.json."""
    told = run("clients_bert.py", str(batch), str(length), gpu="t4")
    assert int(told["allocated"]) / MIB == pytest.approx(allocated_mib, rel=5e-3)
    assert int(told["reserved"]) / MIB == pytest.approx(reserved_mib, rel=5e-3)
