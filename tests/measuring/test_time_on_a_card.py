"""``run --device real --time``, rehearsed: the virtual GPU is preloaded and met as if it were a real card."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.measured_step import COMPUTES_NOTHING
from nanocheck.report.run_file import load
from nanocheck.virtual import card_environment, prepare

STEPS = """
import torch
model = torch.nn.Linear(64, 64).cuda()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(60):
    model(torch.randn(8, 64, device="cuda")).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
print("ran to its end")
"""


def test_the_whole_way_without_a_card_is_labelled_and_has_no_seconds(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(STEPS)
    target = Target(kind="virtual", gpu=find_gpu("rtx4070"))
    environment = {**os.environ, **prepare().launch_environment(), **card_environment(target)}
    options = ("--device", "real", "--gpu", "rtx4070", "--time", "--json", "run.json")
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "nanocheck", "run", *options, "--", sys.executable, "train.py"],
        cwd=tmp_path,
        env={**environment, "CUDA_VISIBLE_DEVICES": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = load(tmp_path / "run.json")
    assert found.result.provenance == "virtual", "found out by the process that ran"
    step = found.result.main.measured_step
    assert step is not None
    assert (step.seconds, step.refused) == (None, COMPUTES_NOTHING)
    assert found.result.main.host_time is None
    assert found.step_time is None
    assert "a step was not timed: the virtual card computes nothing" in " ".join(ran.stderr.split())
    assert "MEASURED" not in ran.stderr
    assert "ran to its end" not in ran.stdout, "it was ended once its steps were timed"
