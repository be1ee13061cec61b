"""Kill a process in the middle of saving, again and again: a job for the harness."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError
from nanocheck.numerics.training.text import tokens_of
from nanocheck.step.cycle import read_checkpoint, save_checkpoint
from nanocheck.step.run import run_step
from nanocheck.step.training import Training, Watch


class _Keep(Watch):
    training: Training | None = None

    def after_update(self, training: Training) -> None:
        self.training = training


def kill_saves(payload: Mapping[str, Any], emit: Callable[[str, Any], None]) -> list[dict[str, Any]]:
    """What the checkpoint was after each kill.

    ``saved`` is its step, ``left`` the files beside it, ``changed`` the weights that are not bitwise those
    that were saved, ``refused`` why it cannot be read.

    Args:
        payload: config, text, folder, and kills: how many, spread evenly over the time that two saves take.
    """
    torch.set_num_threads(1)
    config, folder = StepConfig.from_dict(payload["config"]), Path(payload["folder"])
    tokens, _ = tokens_of(payload["text"], config)
    watch = _Keep()
    run_step(config, "cpu", observe=lambda phase, step: None, steps=1, tokens=tokens, watch=watch)
    assert watch.training is not None
    path = folder / "killed.pt"
    started = time.monotonic()
    save_checkpoint(watch.training, path, 0)
    once = time.monotonic() - started
    emit("stage", "kill")
    return [
        _one(watch.training, config, path, 2 * once * number / payload["kills"])
        for number in range(payload["kills"])
    ]


def _one(training: Training, config: StepConfig, path: Path, seconds: float) -> dict[str, Any]:
    """Fork a process that does nothing but save, and kill it after some time."""
    child = os.fork()
    if child == 0:
        step = 0
        while True:
            step += 1
            save_checkpoint(training, path, step)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    left = sorted(each.name for each in path.parent.iterdir() if each != path)
    for name in left:
        (path.parent / name).unlink()
    try:
        checkpoint = read_checkpoint(config, path, "cpu")
    except StoredDataError as error:
        return {"saved": None, "left": left, "changed": [], "refused": str(error)}
    weights, saved = training.model.state_dict(), checkpoint["model"]
    changed = [
        name
        for name in sorted({*weights, *saved})
        if name not in weights or name not in saved or not torch.equal(weights[name], saved[name])
    ]
    return {"saved": checkpoint["iter_num"], "left": left, "changed": changed, "refused": ""}
