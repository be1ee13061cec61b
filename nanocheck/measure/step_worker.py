"""The task of a memory measurement: one configuration in a fresh process, one record out of it."""

from __future__ import annotations

import os
import platform
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import nanocheck
from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.device import available_bytes
from nanocheck.core.errors import MachineError
from nanocheck.core.result import OutOfMemory, Peak, Record
from nanocheck.measure.step_oom import OomWatch, describe
from nanocheck.observe import introspect, placeholder_values, uncompiled_kernels
from nanocheck.step.run import run_step
from nanocheck.step.torch_facts import cublas_workspace_bytes, sdpa_backend

Emit = Callable[[str, Any], None]

#: Optimizer steps: AdamW's state is there from the second on, and the last two must agree.
STEPS = 3
#: CUDA graphs warm up in the first step and record in the second.
STEPS_WITH_GRAPHS = 5


class Observer:
    """Reads and resets the allocator's peaks at the end of every phase.

    Peaks of the micro-batches of a step are merged: the record keeps one row per phase and step.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self.peaks: dict[tuple[str, int], Peak] = {}
        self.at = ("build", 0)  # phase and step that the run is in
        self.forwards: Counter[int] = Counter()  # micro-batches that ran, by step

    def enter(self, phase: str, step: int) -> None:
        """A phase begins."""
        self.at = (phase, step)

    def __call__(self, phase: str, step: int) -> None:
        """A phase ends."""
        stats = torch.cuda.memory_stats()
        torch.cuda.reset_peak_memory_stats()
        self.forwards[step] += phase == "forward"
        seen = self.peaks.get((phase, step))
        sizes = {
            name: max(stats[f"{key}.all.peak"], getattr(seen, name, 0))
            for name, key in (
                ("allocated_bytes", "allocated_bytes"),
                ("reserved_bytes", "reserved_bytes"),
                ("requested_bytes", "requested_bytes"),
            )
        }
        self.peaks[phase, step] = Peak(phase=phase, step=step, **sizes)
        if phase == "build":
            self._emit("stage", "first step")
        elif phase == "optimizer" and step == 0:
            self._emit("stage", "steps")
        if phase in ("build", "optimizer"):  # what survives if this process dies
            self._emit("partial", {"peaks": [vars(peak) for peak in self.peaks.values()]})


def run(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run ``payload["config"]`` on ``payload["device"]``; the result is a ``Record`` as plain data.

    ``payload["every_micro_batch"]`` runs also those that can change nothing any more, and
    ``payload["compile_kernels"]`` compiles Triton's kernels although nothing will execute them; both
    are for tests that show that leaving it out changes nothing. ``payload["steps"]`` are optimizer steps.

    Raises:
        MachineError: PyTorch sees no GPU, or not the one the harness promised.
    """
    config = StepConfig.from_dict(payload["config"])
    device = payload["device"]
    virtual = introspect.version()
    _open_card(device, virtual)
    if virtual is not None and methods.compiles(config) and not payload.get("compile_kernels"):
        uncompiled_kernels.install()
    if config.cycle == "resume":
        # An AdamW that is not fused reads its loaded step counters back, and divides by what they say.
        placeholder_values.install()
    emit("stage", "build")
    observer, watch = Observer(emit), OomWatch()
    oom: OutOfMemory | None = None
    try:
        own = STEPS_WITH_GRAPHS if config.compile == "reduce-overhead" else STEPS
        steps = int(payload.get("steps", own))
        every = bool(payload.get("every_micro_batch"))
        run_step(
            config,
            "cuda",
            observe=observer,
            enter=observer.enter,
            steps=steps,
            workdir=Path.cwd(),
            skip_repetitions=not every,
        )
    except torch.OutOfMemoryError as error:
        oom = describe(error, watch, *observer.at)
        observer(oom.phase, oom.step)
    emit("stage", "facts")
    stats = torch.cuda.memory_stats()
    backend = _backend(config, virtual)
    notes = []
    if backend == "cudnn" and virtual is not None:
        notes.append(
            "cuDNN attention ran; the workspace of its real plans is not known and counts as 0 bytes"
        )
    micro_batches = max(observer.forwards.values(), default=0)
    notes += methods.notes(config)
    if oom is None and config.accumulation > micro_batches:
        notes.append(f"{micro_batches} of {config.accumulation} micro-batches ran; the rest repeat them")
    record = Record(
        config=config,
        provenance="virtual" if virtual is not None else "measured",
        device=device,
        environment=environment(virtual),
        outcome="completed" if oom is None else "oom",
        peaks=tuple(observer.peaks.values()),
        retries=stats["num_alloc_retries"],
        ooms=stats["num_ooms"],
        micro_batches=micro_batches,
        oom=oom,
        sdpa_backend=backend,
        cublas_workspace_bytes=cublas_workspace_bytes(),
        allocator_conf=os.environ.get("PYTORCH_ALLOC_CONF") or os.environ.get("PYTORCH_CUDA_ALLOC_CONF", ""),
        notes=tuple(notes),
    )
    return record.to_dict()


def _open_card(device: dict[str, Any], virtual: str | None) -> None:
    """Initialise CUDA on the promised card, and cap a larger real one."""
    if device["kind"] == "virtual" and virtual is None:
        raise MachineError(
            "expected to run on the virtual GPU, but its library is not loaded in this process"
        )
    if not torch.cuda.is_available():
        raise MachineError(
            f"expected a GPU that PyTorch can use, found none (torch {torch.__version__}, "
            f"CUDA {torch.version.cuda})",
            hint="nanocheck doctor   # or --device virtual",
        )
    torch.cuda.init()  # type: ignore[no-untyped-call]
    name = torch.cuda.get_device_name()
    if device["capped_from"] is None and name != device["name"]:
        raise MachineError(
            f"expected a {device['name']}, found a {name}", hint="choose --gpu, or --device virtual"
        )
    if device["kind"] == "real" and (device["capped_from"] is not None or device["reserve_bytes"]):
        total = torch.cuda.get_device_properties(0).total_memory
        allowed = available_bytes(device)
        torch.cuda.set_per_process_memory_fraction(min(1.0, allowed / total))


def _backend(config: StepConfig, virtual: str | None) -> str:
    """What ran, by the kernels that were launched; on a real card, what PyTorch says it chooses."""
    return sdpa_backend(config, "cuda") if virtual is None else introspect.attention_backend()


def environment(virtual: str | None) -> dict[str, Any]:
    """Whatever can change a number, of this process."""
    return {
        "nanocheck": nanocheck.__version__,
        "virtual_gpu": virtual,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        "python": platform.python_version(),
        "os": platform.system(),
        "machine": platform.machine(),
        "byteorder": sys.byteorder,
    }
