"""Run a program that knows nothing of nanocheck on the virtual GPU, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys

from paths import CLIENTS

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.virtual import card_environment, prepare

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=1")


def environment_of(gpu: str) -> dict[str, str]:
    """What a process needs from its start to run on this virtual card."""
    return {
        **os.environ,
        **prepare().launch_environment(),
        **card_environment(Target(kind="virtual", gpu=find_gpu(gpu))),
        "HF_HUB_OFFLINE": "1",
    }


def run_client(
    script: str, *arguments: str, launcher: tuple[str, ...] = (), gpu: str = "rtx4090", timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """A script of tests/clients on the virtual card, to its end, whatever that is."""
    return subprocess.run(
        [sys.executable, *launcher, str(CLIENTS / script), *arguments],
        env=environment_of(gpu),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def printed(ran: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What a script that ended well printed as ``name value``."""
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-6000:]
    return dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " " in line)
