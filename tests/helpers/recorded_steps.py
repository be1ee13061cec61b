"""Configurations whose third step is recorded and whose fourth PyTorch's own counter of operations watches.

Run on the virtual card: ``recorded_steps.py FOLDER`` with a list of configurations as JSON on stdin. Prints a
JSON list: the operations that ``torch.utils.flop_counter`` found, by operator, and of which type the first
floating tensor was that each operator was given.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.observe import uncompiled_kernels
from nanocheck.observe.recording.execution_trace import StepTrace
from nanocheck.step.run import run_step

RECORDED, COUNTED = 2, 3


class Types(TorchDispatchMode):
    """Notes of which type operators compute, by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, set[str]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [each for each in args if isinstance(each, torch.Tensor) and each.is_floating_point()]
        if given:
            name = function.overloadpacket.__name__
            self.found.setdefault(name, set()).add(str(given[0].dtype).removeprefix("torch."))
        return function(*args, **(kwargs or {}))


def run(config: StepConfig, folder: Path) -> dict[str, Any]:
    """What was counted and noted; the trace lies in the folder."""
    trace: StepTrace | None = None
    noted = Types()
    counter = FlopCounterMode(display=False)
    compiles = methods.compiles(config)
    last = COUNTED - compiles  # a dispatch mode turns compiled code eager

    def leave(phase: str, step: int) -> None:
        nonlocal trace
        if trace is not None:
            trace.mark(f"{phase}-")
        if phase == "optimizer" and step == RECORDED - 1:
            trace = StepTrace(str(folder))
        if phase == "optimizer" and step == RECORDED:
            assert trace is not None
            assert trace.finish(), "something compiled in the recorded step"
            trace = None
            if not compiles:
                counter.__enter__()
                noted.__enter__()
        if phase == "optimizer" and step == COUNTED:
            noted.__exit__(None, None, None)
            counter.__exit__(None, None, None)

    def enter(phase: str, step: int) -> None:
        if trace is not None:
            trace.mark(f"{phase}+")

    run_step(config, "cuda", observe=leave, enter=enter, steps=last + 1, skip_repetitions=False)
    counted: dict[Any, int] = counter.get_flop_counts().get("Global", {})
    operations = {str(operator): flops for operator, flops in counted.items()}
    return {"operations": operations, "types": {name: sorted(each) for name, each in noted.found.items()}}


if __name__ == "__main__":
    torch.cuda.init()
    found = []
    for number, data in enumerate(json.load(sys.stdin)):
        config = StepConfig.from_dict(data)
        if methods.compiles(config):
            uncompiled_kernels.install()
        folder = Path(sys.argv[1]) / str(number)
        folder.mkdir()
        found.append(run(config, folder))
    print(json.dumps(found))
