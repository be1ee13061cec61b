"""Runs for the page's tests: a GPT-2 training run as it looks on a card, and its odd relatives."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.result import (
    Band,
    Ending,
    Environment,
    Fragmentation,
    Group,
    Holding,
    How,
    Moment,
    Outcome,
    OutOfMemory,
    Peak,
    ProcessMemory,
    Provenance,
    RunResult,
    Timeline,
    Variable,
)
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun
from nanocheck.report.run_file import RunFile
from nanocheck.search.candidates import SuggestedRun, Suggestions

GROUPS = (
    "parameters",
    "buffers and inputs",
    "optimizer state",
    "gradients",
    "activations",
    "logits and loss",
    "backward temporaries",
    "optimizer temporaries",
    "workspaces",
    "rounding",
    "unnamed",
)
_LAYERS = 12
_NOTE = "the script read 3 values from the GPU that a virtual card does not compute (train.py:327)"
_STEP = "scaler.scale(loss).backward()"
#: Where each group's largest allocations are made: place, line and shape.
_SITES: dict[str, tuple[str | None, str | None, tuple[int, ...] | None]] = {
    "parameters": ("model.py:146", "self.transformer = nn.ModuleDict(dict(", (50304, 768)),
    "buffers and inputs": ("train.py:131", "x, y = x.pin_memory().to(device), y.to(device)", (16, 1024)),
    "optimizer state": ("train.py:322", "scaler.step(optimizer)", (50304, 768)),
    "gradients": ("train.py:316", _STEP, (50304, 768)),
    "activations": (
        "model.py:71",
        "y = torch.nn.functional.scaled_dot_product_attention(q, k, v)",
        (16, 1024, 768),
    ),
    "logits and loss": (
        "model.py:187",
        "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)",
        (16384, 50304),
    ),
    "backward temporaries": ("train.py:316", _STEP, (16, 1024, 50304)),
    "workspaces": (None, None, None),
}
_COUNTS = {
    "parameters": 149,
    "buffers and inputs": 14,
    "optimizer state": 298,
    "gradients": 149,
    "activations": 193,
    "logits and loss": 2,
    "rounding": 655,
    "unnamed": 3,
}


class _TrainingLoop:
    """Writes a timeline as a training loop would: build, then the phases of each step."""

    def __init__(self, scale: float) -> None:
        self.held = dict.fromkeys(GROUPS, 0)
        self.points: list[tuple[int, ...]] = []
        self.bands: list[Band] = []
        self.reserved = 0
        self.event = 0
        self.scale = scale

    def change(self, group: str, mib: float, *, events: int = 3) -> None:
        self.held[group] = max(0, self.held[group] + int(mib * MIB))
        self.held["rounding"] = sum(self.held.values()) // 900 // 512 * 512
        total = sum(self.held.values())
        self.reserved = max(self.reserved, -(-total // (20 * MIB)) * 20 * MIB)
        self.points.append((self.event, self.reserved, *(self.held[name] for name in GROUPS)))
        self.event += events

    def band(self, phase: str, step: int, first: int) -> None:
        self.bands.append(Band(phase=phase, step=step, first=first, last=self.event - 1))

    def build(self) -> None:
        for _ in range(_LAYERS):
            self.change("parameters", 27.0, events=5)
        self.change("parameters", 150.2)
        self.change("buffers and inputs", 12.0)
        self.band("build", 0, 0)

    def forward(self, step: int) -> None:
        first = self.event
        self.change("buffers and inputs", 0.25)
        if step == 0:
            self.change("workspaces", 8.1)
        for _ in range(_LAYERS):
            for part in (48, 24, 96, 24, 24, 36, 36, 24):
                self.change("activations", part * self.scale)
                self.change("unnamed", 12 * self.scale)
                self.change("unnamed", -12 * self.scale)
        self.change("logits and loss", 1572 * self.scale)
        self.change("logits and loss", 3144 * self.scale)
        self.band("forward", step, first)

    def backward(self, step: int) -> None:
        first = self.event
        self.change("backward temporaries", 1572 * self.scale)
        self.change("logits and loss", -3144 * self.scale)
        self.change("gradients", 147.4 if step == 0 else 0)
        self.change("logits and loss", -1572 * self.scale)
        self.change("backward temporaries", -1524 * self.scale)
        for _ in range(_LAYERS):
            for part in (24, 36, 36, 24, 24, 96, 24, 48):
                self.change("backward temporaries", 64 * self.scale)
                self.change("activations", -part * self.scale)
                self.change("backward temporaries", -64 * self.scale)
            self.change("gradients", 27.0 if step == 0 else 0, events=9)
        self.change("backward temporaries", -48 * self.scale)
        self.band("backward", step, first)

    def optimizer(self, step: int) -> None:
        first = self.event
        if step == 0:
            for _ in range(_LAYERS + 1):
                self.change("optimizer state", 73.0, events=6)
        for size in (120, 120, -60, -180):
            self.change("optimizer temporaries", size, events=12)
        self.band("optimizer", step, first)


def training_run(*, batch: int = 12, steps: int = 3, gpu: str = "rtx4070", dies: bool = False) -> JudgedRun:
    """A finished run of ``steps`` steps, or one that dies in the second backward."""
    loop = _TrainingLoop(batch / 16)
    device = Target(kind="virtual", gpu=find_gpu(gpu)).device
    loop.build()
    for step in range(steps):
        loop.forward(step)
        if dies and step == 1:
            first = loop.event
            loop.change("unnamed", 0)
            loop.band("backward", step, first)
            break
        loop.backward(step)
        loop.optimizer(step)
    best = max(loop.points, key=lambda point: sum(point[2:]))
    groups = _groups(best)
    allocated = sum(best[2:])
    process = ProcessMemory(
        pid=4711,
        command=("python", "train.py"),
        steps=1 if dies else steps,
        retries=int(dies),
        ooms=int(dies),
        allocated_bytes=allocated,
        reserved_bytes=loop.reserved,
        process_bytes=loop.reserved + device.context_bytes,
        at=Moment(phase="backward", step=0 if dies else steps - 1, where="train.py:316", line=_STEP),
        peaks=_peaks(loop),
        groups=groups,
        largest=_largest(groups),
        fragmentation=Fragmentation(reserved_bytes=loop.reserved, allocated_bytes=allocated - 31 * MIB),
        oom=_oom(loop, device.available_bytes) if dies else None,
        timeline=Timeline(groups=GROUPS, points=tuple(loop.points), bands=tuple(loop.bands)),
    )
    return JudgedRun.of(
        RunResult(
            command=("python", "train.py", f"--batch_size={batch}", "--compile=False"),
            provenance=Provenance.VIRTUAL,
            device=device,
            environment=Environment(torch="2.14.1+cu130", cuda="13.0", python="3.13.5", os="Linux"),
            outcome=Outcome.OOM if dies else Outcome.COMPLETED,
            ending=Ending(how=How.FAILED if dies else How.ANSWERED, exit_code=int(dies)),
            seconds={"command": 11.4},
            notes=(_NOTE,),
            processes=(process,),
        )
    )


def several() -> JudgedRun:
    """Two processes: the training, and a small one that evaluates."""
    both = training_run(batch=8).result
    small = replace(
        training_run(batch=1, steps=1).result.main,
        pid=4790,
        command=("python", "-c", "from multiprocessing.spawn import spawn_main; ..."),
    )
    return JudgedRun.of(replace(both, processes=(both.main, small)))


def suggested() -> RunFile:
    """The training as given, and a larger batch with expandable segments."""
    given = training_run()
    tried = ((12, False, given), (16, True, training_run(batch=16, dies=True)))
    return RunFile.with_suggestions(
        given,
        Suggestions(
            complete=True,
            batch_argument="--batch_size",
            batch=12,
            runs=tuple(
                SuggestedRun(
                    batch=batch,
                    expandable=expandable,
                    verdict=run.verdict,
                    reserved_bytes=run.result.main.reserved_bytes,
                    provenance=run.result.provenance,
                )
                for batch, expandable, run in tried
            ),
            conclusions=("the largest --batch_size that fits: 12 (16 does not), safe",),
        ),
    )


def nothing() -> JudgedRun:
    """No process used the GPU."""
    result = training_run().result
    return JudgedRun.of(
        replace(result, processes=(), outcome=Outcome.NO_GPU, detail="no process used the GPU")
    )


def with_result(run: JudgedRun, **changes: Any) -> JudgedRun:
    """The run with other fields of its result; the verdict stays."""
    return replace(run, result=replace(run.result, **changes))


def with_process(run: JudgedRun, **changes: Any) -> JudgedRun:
    """The run with other fields of its first process."""
    first, *others = run.result.processes
    return with_result(run, processes=(replace(first, **changes), *others))


def with_oom(run: JudgedRun, **changes: Any) -> JudgedRun:
    """The run with other fields of the request that failed in its first process."""
    oom = run.result.main.oom
    assert oom is not None
    return with_process(run, oom=replace(oom, **changes))


def with_timeline(run: JudgedRun, **changes: Any) -> JudgedRun:
    """The run with other fields of its first process's timeline."""
    timeline = run.result.main.timeline
    assert timeline is not None
    return with_process(run, timeline=replace(timeline, **changes))


def _groups(point: tuple[int, ...]) -> tuple[Group, ...]:
    return tuple(
        Group(group=name, bytes=value, count=_COUNTS.get(name, 1))
        for name, value in zip(GROUPS, point[2:], strict=True)
        if value
    )


def _largest(groups: tuple[Group, ...]) -> tuple[Holding, ...]:
    rows = []
    for each in sorted(groups, key=lambda group: -group.bytes):
        if each.group not in _SITES:
            continue
        where, line, shape = _SITES[each.group]
        rows.append(
            Holding(
                bytes=each.bytes * 2 // 3,
                count=max(1, each.count // 12),
                group=each.group,
                where=where,
                line=line,
                shape=shape,
                phase="build" if each.group == "parameters" else "forward",
            )
        )
    return tuple(rows)


def _peaks(loop: _TrainingLoop) -> tuple[Peak, ...]:
    rows = []
    for phase in ("build", "forward", "backward", "optimizer"):
        spans = [(band.first, band.last) for band in loop.bands if band.phase == phase]
        inside = [point for point in loop.points if any(first <= point[0] <= last for first, last in spans)]
        if inside:
            rows.append(
                Peak(
                    phase=phase,
                    step=0,
                    allocated_bytes=max(sum(point[2:]) for point in inside),
                    reserved_bytes=max(point[1] for point in inside),
                )
            )
    return tuple(rows)


def _oom(loop: _TrainingLoop, limit: int) -> OutOfMemory:
    groups = _groups(loop.points[-1])
    requested = round(1572 * loop.scale) * MIB
    free = limit - loop.points[-1][1]
    return OutOfMemory(
        requested_bytes=requested,
        phase="backward",
        step=1,
        where="train.py:316",
        line=_STEP,
        shape=(16384, 50304),
        exact=True,
        tensors=(Variable(name="logits", shape=(16, 1024, 50304), dtype="bfloat16"),),
        message=(
            f"CUDA out of memory. Tried to allocate {requested / MIB:.2f} MiB. GPU 0 has a total capacity of "
            f"11.60 GiB of which {free / MIB:.2f} MiB is free. If reserved but unallocated memory is large "
            "try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
        ),
        free_bytes=free,
        alive=_largest(groups),
        groups=groups,
    )
