"""Run a program that knows nothing of nanocheck on the virtual GPU, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from observing import Seen, observe
from paths import CLIENTS

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import ProcessMemory
from nanocheck.core.verdict import JudgedRun
from nanocheck.virtual import card_environment, prepare

#: What a program needs that an environment for development may lack, by the program's name.
_LIBRARIES = {"packed_varlen.py": "torch.nn.attention.varlen", "trl_trainer.py": "trl"}
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
    script: str,
    *arguments: str,
    launcher: tuple[str, ...] = (),
    gpu: str = "rtx4090",
    cards: int = 1,
    timeout: float = 300,
) -> subprocess.CompletedProcess[str]:
    """A script of tests/clients on a machine with so many virtual cards, to its end, whatever that is."""
    machine = {"NANOCHECK_CARDS": str(cards), "CUDA_VISIBLE_DEVICES": ",".join(map(str, range(cards)))}
    return subprocess.run(
        [sys.executable, *launcher, str(CLIENTS / script), *arguments],
        env=environment_of(gpu) | machine,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def printed(ran: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """What a script that ended well printed as ``name value``."""
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-6000:]
    return dict(line.split(" ", 1) for line in ran.stdout.splitlines() if " " in line)


def run(folder: Path, name: str, *arguments: str, **options: Any) -> tuple[Seen, JudgedRun]:
    """A client observed to its end, and its answer; what holds for every one of them holds."""
    seen = observe(CLIENTS / name, folder, *arguments, steps=options.pop("steps", 0), **options)
    assert seen.ending.exit_code == 0, seen.stderr[-3000:]
    return seen, sound_answer(seen)


def sound_answer(seen: Seen) -> JudgedRun:
    """Of a client that was observed to its end: what holds for every one of them holds."""
    answer = seen.judged()
    assert answer.verdict.kind == "safe"
    assert answer.result.provenance == "virtual"
    for process in answer.result.processes:
        assert process.unexplained_events == 0
        assert sum(row.bytes for row in process.groups) == process.allocated_bytes
        named = {row.group: row.bytes for row in process.groups}
        assert sum(row.bytes for row in process.stacks) + named.get("rounding", 0) == process.allocated_bytes
        assert all(row.most_bytes >= row.bytes for row in process.stacks)
        assert "not in the history" not in named
        points = process.timeline.points
        assert max(sum(point[2:]) for point in points) == process.allocated_bytes
        assert max(point[1] for point in points) == process.reserved_bytes
    return answer


def needs_libraries_of(name: str) -> None:
    """Skip, and say which library is missing; this process imports none of them."""
    library = _LIBRARIES.get(name)
    if library is not None and find_spec(library) is None:
        pytest.skip(f"{name} needs {library}, which is not installed")


def groups(process: ProcessMemory) -> dict[str, int]:
    return {row.group: row.bytes for row in process.groups}
