"""Programs that know nothing of nanocheck run on the virtual GPU to their end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanocheck.device import Device
from nanocheck.gpus import find_gpu
from nanocheck.virtual import card_environment, prepare

HERE = Path(__file__).parent


@pytest.mark.parametrize("gpu", ["rtx4070", "h100"])
def test_an_unmodified_transformers_trainer(gpu: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="a test dependency: pip install -e .[dev]")
    card = Device(kind="virtual", gpu=find_gpu(gpu))
    environment = {
        **os.environ,
        **prepare().launch_environment(),
        **card_environment(card),
        "HF_HUB_OFFLINE": "1",
    }
    ran = subprocess.run(
        [sys.executable, str(HERE / "clients_trainer.py"), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    told = dict(line.split(" ", 1) for line in ran.stdout.splitlines() if line.count(" ") == 1)
    assert told["device"] == "cuda:0"
    assert told["done"] == "3"
    # 4.5 M parameters with gradients and two moments of 4 bytes each are 70 MiB; the rest is activations.
    assert 70 << 20 < int(told["peak"]) < 1 << 30
    assert any(tmp_path.glob("checkpoint-3/*"))
