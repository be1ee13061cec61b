"""Calls into the virtual GPU and its NVML as a program without PyTorch makes them: by ctypes, in a child."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.virtual import card_environment, prepare

# CUDA's errors in these tests: 1 is an invalid value, 2 no memory, 100 no device, 400 an invalid handle.
CARD = card_environment(Target(kind="virtual", gpu=find_gpu("rtx4070")))["NANOCHECK_CARD"]

_PRELUDE = """
import ctypes
from ctypes import *
gpu, nvml = CDLL("libcuda.so.1"), CDLL("libnvidia-ml.so.1")
gpu.nanocheck_known.argtypes = [c_void_p, c_void_p, c_size_t]
"""


def call(*code: str, card: str | None = CARD, preload: str = "") -> str:
    """What the pieces of code print, on one line. They find ``gpu``, ``nvml`` and the card."""
    environment = {**os.environ, **prepare().launch_environment()}
    environment["LD_PRELOAD"] = preload + environment["LD_PRELOAD"]
    del environment["NANOCHECK_CARD"]
    if card is not None:
        environment["NANOCHECK_CARD"] = card
    done = subprocess.run(
        [sys.executable, "-S", "-c", "\n".join(map(textwrap.dedent, (_PRELUDE, *code)))],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return " ".join(done.stdout.split())
