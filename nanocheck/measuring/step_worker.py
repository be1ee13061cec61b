"""The task of a memory measurement: one configuration in a fresh process, one ``RunResult`` out of it."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import torch

import nanocheck
from nanocheck.attribution.out_of_memory import oom_of_step
from nanocheck.attribution.places import Places
from nanocheck.core import methods, nccl_memory, sharding
from nanocheck.core.config import StepConfig
from nanocheck.core.device import Device
from nanocheck.core.errors import MachineError
from nanocheck.core.process_memory import Communicators
from nanocheck.core.result import (
    Environment,
    Outcome,
    OutOfMemory,
    Peak,
    ProcessMemory,
    Provenance,
    RunResult,
)
from nanocheck.core.torch_builds import why_unsupported
from nanocheck.measuring.task import Seen, Task
from nanocheck.measuring.timing import Timing
from nanocheck.observe import introspect, placeholder_values, uncompiled_kernels
from nanocheck.observe.steady_state import MORE, UNSETTLED, Settling, layouts_of
from nanocheck.step.run import run_step
from nanocheck.step.torch_facts import cublas_workspace_bytes, sdpa_backend

Emit = Callable[[str, Any], None]

#: Optimizer steps at least: AdamW's state is there from the second on, and the last two must agree.
STEPS = 3
#: CUDA graphs warm up in the first step and record in the second.
STEPS_WITH_GRAPHS = 5


class Observer:
    """Reads and resets the allocator's peaks at the end of every phase, and notes which allocation failed.

    Peaks of the micro-batches of a step are merged: the result keeps one row per phase and step.

    Args:
        steps: optimizer steps at least; further ones run until they can raise no phase's peak.
    """

    def __init__(self, emit: Emit, provenance: Provenance, where: Environment, steps: int) -> None:
        self._emit, self._provenance, self._where = emit, provenance, where
        self._settling = Settling(steps)
        self.proof: str | None = None  # why no further step is needed
        self.peaks: dict[tuple[str, int], Peak] = {}
        self.forwards: Counter[int] = Counter()  # micro-batches that ran, by step
        self.at = ("build", 0)  # phase and step that the run is in
        self.failed_bytes = 0  # the segment that the allocator asked the driver for, when it failed last
        torch._C._cuda_attach_out_of_memory_observer(self._failed)  # type: ignore[attr-defined]
        self.report()

    def _failed(self, device: int, size: int, total: int, free: int) -> None:
        self.failed_bytes = size

    def enter(self, phase: str, step: int) -> None:
        """A phase begins."""
        self.at = (phase, step)

    def leave(self, phase: str, step: int) -> None:
        """A phase ends."""
        stats = torch.cuda.memory_stats()
        torch.cuda.reset_peak_memory_stats()
        self.forwards[step] += phase == "forward"
        seen = self.peaks.get((phase, step))
        names = ("allocated_bytes", "reserved_bytes", "requested_bytes")
        sizes = {name: max(stats[f"{name}.all.peak"], getattr(seen, name, 0)) for name in names}
        self.peaks[phase, step] = Peak(phase=phase, step=step, **sizes)
        if phase == "build":
            self._emit("stage", "first step")
        elif phase == "optimizer" and step == 0:
            self._emit("stage", "steps")
        if phase in ("build", "optimizer"):
            self.report()

    def settled(self) -> bool:
        """A step is over; whether further ones can be left out."""
        highest: dict[str, tuple[int, int]] = {}
        for peak in self.peaks.values():
            if peak.phase in ("forward", "backward", "optimizer"):
                allocated, reserved = highest.get(peak.phase, (0, 0))
                highest[peak.phase] = max(allocated, peak.allocated_bytes), max(reserved, peak.reserved_bytes)
        figures = tuple(figure for both in highest.values() for figure in both)
        segments = torch.cuda.memory_snapshot()  # type: ignore[no-untyped-call]
        retries = torch.cuda.memory_stats()["num_alloc_retries"]
        layouts = layouts_of(segments, torch.cuda.current_device(), retries=retries)
        self.proof = self._settling.step_ended(figures, layouts)
        return self.proof is not None

    def report(self) -> None:
        """Tell the parent what is known so far."""
        seen = Seen(provenance=self._provenance, environment=self._where, peaks=tuple(self.peaks.values()))
        self._emit("partial", msgspec.to_builtins(seen))

    def describe(self, error: RuntimeError) -> OutOfMemory:
        """The details of the error that ended the step: the allocator's, or of NCCL, which found no room."""
        refused = None if isinstance(error, torch.OutOfMemoryError) else introspect.nccl_refused()
        tail = reversed(traceback.extract_tb(error.__traceback__))
        frames = [(frame.filename, frame.lineno or 0, frame.name) for frame in tail]
        libraries = (str(Path(torch.__file__).parent), sysconfig.get_path("stdlib"))
        phase, step = self.at
        return oom_of_step(
            frames,
            Places(libraries, str(Path(nanocheck.__file__).parents[1])),
            segment_bytes=self.failed_bytes if refused is None else refused[1],
            phase=phase,
            step=step,
            message=str(error),
            by="" if refused is None else "NCCL",
        )


def run(payload: dict[str, Any], emit: Emit) -> dict[str, Any]:
    """Run a ``Task`` given as plain data; the result is a ``RunResult`` as plain data.

    Raises:
        MachineError: PyTorch sees no GPU, or not the one the parent promised, or has no kernels for it.
    """
    task = msgspec.convert(payload, Task)
    config = task.config
    virtual = introspect.version()
    _open_card(task.device, virtual)
    provenance = Provenance.MEASURED if virtual is None else Provenance.VIRTUAL
    if virtual is not None and methods.compiles(config) and not task.compile_kernels:
        uncompiled_kernels.install()
    if config.cycle == "resume":
        # An AdamW that is not fused reads its loaded step counters back, and divides by what they say.
        placeholder_values.install()
    emit("stage", "build")
    where = environment(virtual)
    steps = STEPS_WITH_GRAPHS if config.compile == "reduce-overhead" else STEPS
    observer = Observer(emit, provenance, where, steps)
    exactly: dict[str, Any] = {"steps": task.steps}
    if task.steps is None:
        exactly = {"steps": steps + MORE, "enough": observer.settled}
    timing = None
    if task.trace is not None:
        timing = Timing(observer, config, task.trace)
        exactly = {"steps": steps + MORE + timing.MOST, "enough": timing.enough}
    oom: OutOfMemory | None = None
    try:
        run_step(
            config,
            "cuda",
            observe=observer.leave if timing is None else timing.leave,
            enter=observer.enter if timing is None else timing.enter,
            **exactly,
            workdir=Path.cwd(),
            skip_repetitions=not task.every_micro_batch,
        )
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and introspect.nccl_refused() is None:
            raise
        oom = observer.describe(error)
        observer.leave(*observer.at)
    emit("stage", "facts")
    stats = torch.cuda.memory_stats()
    attention, notes = _attention(config, virtual)
    notes += task.device.notes
    if attention == "cudnn" and virtual is not None:
        notes.append(
            "cuDNN attention ran; the workspace of its real plans is not known and counts as 0 bytes"
        )
    micro_batches = max(observer.forwards.values(), default=0)
    notes += [*methods.notes(config), *sharding.notes(config)]
    if oom is None and config.accumulation > micro_batches:
        notes.append(f"{micro_batches} of {config.accumulation} micro-batches ran; the rest repeat them")
    if observer.proof == UNSETTLED:
        notes.append(f"the peak had not settled after {steps + MORE} steps: a later one may need more")
    peaks = tuple(observer.peaks.values())
    reserved = max((peak.reserved_bytes for peak in peaks), default=0)
    variables = (os.environ.get(name) for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"))
    talking = Communicators.of(next(iter(introspect.communicators().values()), ()))
    nccl_least, nccl_most = nccl_memory.taken_bytes(task.device.gpu, talking, os.environ)
    process = ProcessMemory(
        rank=sharding.rank_that_runs(config) if config.ranks > 1 else None,
        allocated_bytes=max((peak.allocated_bytes for peak in peaks), default=0),
        reserved_bytes=reserved,
        process_bytes=reserved + task.device.context_bytes + nccl_least,
        communicators=talking,
        nccl_least_bytes=nccl_least,
        nccl_most_bytes=nccl_most,
        peaks=peaks,
        retries=stats["num_alloc_retries"],
        ooms=stats["num_ooms"],
        oom=oom,
        host_time=None if timing is None else timing.host_time(),
        attention=attention,
        cublas_workspace_bytes=cublas_workspace_bytes(),
        allocator_settings=next(filter(None, variables), ""),
    )
    result = RunResult(
        config=config,
        provenance=provenance,
        device=task.device,
        environment=where,
        outcome=Outcome.COMPLETED if oom is None else Outcome.OOM,
        processes=(process,),
        micro_batches=micro_batches,
        notes=tuple(notes),
    )
    plain: dict[str, Any] = msgspec.to_builtins(result)
    return plain


def _open_card(device: Device, virtual: str | None) -> None:
    """Initialise CUDA on the promised card, and cap a larger real one."""
    if device.kind == "virtual" and virtual is None:
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
    if device.kind == "virtual" and device.host is None:
        why = why_unsupported(
            device.name,
            device.capability,
            torch.cuda.get_arch_list(),
            torch=torch.__version__,
            cuda=torch.version.cuda,
        )
        if why is not None:
            raise MachineError(why)
    name = torch.cuda.get_device_name()
    if device.capped_from is None and name != device.name:
        raise MachineError(
            f"expected a {device.name}, found a {name}", hint="choose --gpu, or --device virtual"
        )
    if device.kind == "real" and (device.capped_from is not None or device.reserve_bytes):
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, device.available_bytes / total))


def _attention(config: StepConfig, virtual: str | None) -> tuple[str, list[str]]:
    """The backend that ran, by two witnesses where there are two: PyTorch's choice for these shapes, and the
    kernels that the virtual GPU was handed. ``unknown``, and a note, where they disagree."""
    chosen = sdpa_backend(config, "cuda")
    if virtual is None:
        return chosen, []
    launched = introspect.attention_backend()
    if chosen in (launched, "unknown") or launched == "unknown":
        return launched, []
    return "unknown", [
        f"attention: PyTorch chooses {chosen}, but the kernels that were launched are {launched}'s"
    ]


def environment(virtual: str | None) -> Environment:
    """Of this process."""
    return Environment(
        nanocheck=nanocheck.__version__,
        virtual_gpu=virtual,
        torch=str(torch.__version__),  # its own class of str
        cuda=torch.version.cuda,
        cudnn=torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        python=platform.python_version(),
        os=platform.system(),
        machine=platform.machine(),
        byteorder=sys.byteorder,
    )
