"""The reference step as a program that somebody else watches: ``python -m nanocheck.step.as_script CONFIG``.

For a Python of another environment, which has its own torch and need not have what nanocheck is installed
with: nothing but torch, numpy and the standard library is imported. It runs as many optimizer steps as a
measurement does, by the same rule, and then the rest of the configuration's cycle.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

import nanocheck
from nanocheck.core.config import StepConfig
from nanocheck.observe.steady_state import MORE, Settling, layouts_of
from nanocheck.step.run import run_step

#: Optimizer steps at least, and with CUDA graphs; see ``measuring.step_worker``.
STEPS, STEPS_WITH_GRAPHS = 3, 5
_PHASES = ("forward", "backward", "optimizer")


class Settled:
    """Whether a further step could raise the peak of a phase: PyTorch's own peaks, reset after each phase."""

    def __init__(self, steps: int) -> None:
        self._settling = Settling(steps)
        self._highest = dict.fromkeys(_PHASES, (0, 0))

    def leave(self, phase: str, step: int) -> None:
        """A phase ends."""
        stats = torch.cuda.memory_stats()
        torch.cuda.reset_peak_memory_stats()
        if phase in self._highest:
            allocated, reserved = self._highest[phase]
            self._highest[phase] = (
                max(allocated, stats["allocated_bytes.all.peak"]),
                max(reserved, stats["reserved_bytes.all.peak"]),
            )

    def enough(self) -> bool:
        """A step is over."""
        figures = tuple(figure for both in self._highest.values() for figure in both)
        segments = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
        retries = torch.cuda.memory_stats()["num_alloc_retries"]
        layouts = layouts_of(segments, torch.cuda.current_device(), retries=retries)
        return self._settling.step_ended(figures, layouts) is not None


def main(text: str) -> None:
    """
    Args:
        text: a configuration as JSON, as ``StepConfig.to_dict`` says it.
    """
    config = StepConfig.from_dict(json.loads(text))
    # Lines of ours are shown from here on, whatever folder nanocheck lies in.
    os.chdir(Path(nanocheck.__file__).parents[1])
    steps = STEPS_WITH_GRAPHS if config.compile == "reduce-overhead" else STEPS
    settled = Settled(steps)
    # Several ranks must all take as many steps: one that ends early is missed by the others.
    enough = settled.enough if config.ranks == 1 else lambda: False
    run_step(config, "cuda", observe=settled.leave, steps=steps + MORE, enough=enough)


if __name__ == "__main__":
    main(sys.argv[1])
