"""Answers for the page's tests: a GPT-2 training run as it looks on a card, and its odd relatives."""

from __future__ import annotations

import copy
from typing import Any

import msgspec

from nanocheck.core.device import Target
from nanocheck.core.gpus import find_gpu
from nanocheck.core.units import MIB
from nanocheck.core.verdict import JudgedRun

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
_SITES = {
    "parameters": ("model.py:146", "self.transformer = nn.ModuleDict(dict(", [50304, 768]),
    "buffers and inputs": ("train.py:131", "x, y = x.pin_memory().to(device), y.to(device)", [16, 1024]),
    "optimizer state": ("train.py:322", "scaler.step(optimizer)", [50304, 768]),
    "gradients": ("train.py:316", "scaler.scale(loss).backward()", [50304, 768]),
    "activations": (
        "model.py:71",
        "y = torch.nn.functional.scaled_dot_product_attention(q, k, v)",
        [16, 1024, 768],
    ),
    "logits and loss": (
        "model.py:187",
        "loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)",
        [16384, 50304],
    ),
    "backward temporaries": ("train.py:316", "scaler.scale(loss).backward()", [16, 1024, 50304]),
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


class _Run:
    """Writes a timeline as a training loop would: build, then the phases of each step."""

    def __init__(self, scale: float) -> None:
        self.held = dict.fromkeys(GROUPS, 0)
        self.points: list[list[int]] = []
        self.bands: list[dict[str, Any]] = []
        self.reserved = 0
        self.event = 0
        self.scale = scale

    def change(self, group: str, mib: float, *, events: int = 3) -> None:
        self.held[group] = max(0, self.held[group] + int(mib * MIB))
        self.held["rounding"] = sum(self.held.values()) // 900 // 512 * 512
        total = sum(self.held.values())
        self.reserved = max(self.reserved, -(-total // (20 * MIB)) * 20 * MIB)
        self.points.append([self.event, self.reserved, *(self.held[name] for name in GROUPS)])
        self.event += events

    def band(self, phase: str, step: int, first: int) -> None:
        self.bands.append({"phase": phase, "step": step, "first": first, "last": self.event - 1})

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


def answer(*, batch: int = 12, steps: int = 3, gpu: str = "rtx4070", dies: bool = False) -> dict[str, Any]:
    """A finished run of ``steps`` steps, or one that dies in the second backward."""
    run = _Run(batch / 16)
    target = Target(kind="virtual", gpu=find_gpu(gpu)).device
    device: dict[str, Any] = msgspec.to_builtins(target)
    run.build()
    for step in range(steps):
        run.forward(step)
        if dies and step == 1:
            first = run.event
            run.change("unnamed", 0)
            run.band("backward", step, first)
            break
        run.backward(step)
        run.optimizer(step)
    best = max(run.points, key=lambda point: sum(point[2:]))
    groups = _groups(best)
    peak = {
        "allocated_bytes": sum(best[2:]),
        "reserved_bytes": run.reserved,
        "process_bytes": run.reserved + device["context_bytes"],
    }
    limit = target.available_bytes
    process: dict[str, Any] = {
        "pid": 4711,
        "command": ["python", "train.py"],
        "steps": steps if not dies else 1,
        "retries": 1 if dies else 0,
        "ooms": 1 if dies else 0,
        **peak,
        "at": {
            "phase": "backward",
            "step": 0 if dies else steps - 1,
            "where": "train.py:316",
            "line": "scaler.scale(loss).backward()",
        },
        "peaks": _phases(run),
        "groups": groups,
        "largest": _largest(groups),
        "fragmentation": {
            "reserved_bytes": run.reserved,
            "allocated_bytes": peak["allocated_bytes"] - 31 * MIB,
        },
        "oom": None,
        "timeline": {"groups": list(GROUPS), "points": run.points, "bands": run.bands},
    }
    headroom = limit - run.reserved
    kind = "safe" if headroom >= 512 * MIB else "tight"
    sentence = (
        f"{headroom / MIB:,.2f} MiB of headroom: "
        f"{run.reserved / MIB:,.2f} MiB reserved of {limit / MIB:,.2f} available"
    )
    if dies:
        process["oom"] = _oom(run, limit)
        kind = "oom"
        sentence = (
            f"backward of step 1 asked for {process['oom']['requested_bytes'] / MIB:,.2f} MiB "
            "for (16384, 50304) at `scaler.scale(loss).backward()`"
        )
    result = {
        "schema": 2,
        "command": ["python", "train.py", "config/train_gpt2.py", f"--batch_size={batch}", "--compile=False"],
        "provenance": "virtual",
        "device": device,
        "environment": {"torch": "2.14.1+cu130", "cuda": "13.0", "python": "3.13.5", "os": "Linux"},
        "outcome": "oom" if dies else "completed",
        "ending": {"how": "failed" if dies else "answered", "exit_code": 1 if dies else 0},
        "seconds": {"command": 11.4},
        "notes": [
            "the script read 3 values from the GPU that a virtual card does not compute (train.py:327)"
        ],
        "processes": [process],
    }
    verdict = {
        "kind": kind,
        "sentence": sentence,
        "headroom_bytes": None if dies else headroom,
        "process_bytes": process["process_bytes"],
    }
    return {"result": result, "margin_bytes": 512 * MIB, "verdict": verdict}


def typed(answer: dict[str, Any]) -> JudgedRun:
    """The run that an answer stands for."""
    return msgspec.convert(answer, JudgedRun)


def several() -> dict[str, Any]:
    """Two processes: the training, and a small one that evaluates."""
    both = answer()
    small = copy.deepcopy(answer(batch=1, steps=1)["result"]["processes"][0])
    small["pid"], small["command"] = (
        4790,
        ["python", "-c", "from multiprocessing.spawn import spawn_main; ..."],
    )
    both["result"]["processes"].append(small)
    return both


def nothing() -> dict[str, Any]:
    """No process used the GPU."""
    bare = answer()
    bare["result"] |= {"processes": [], "outcome": "no-gpu"}
    bare["verdict"] = {
        "kind": "no-gpu",
        "sentence": "no process used the GPU",
        "process_bytes": 0,
        "headroom_bytes": None,
    }
    return bare


def _groups(point: list[int]) -> list[dict[str, Any]]:
    return [
        {"group": name, "bytes": value, "count": _COUNTS.get(name, 1)}
        for name, value in zip(GROUPS, point[2:], strict=True)
        if value
    ]


def _largest(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for each in sorted(groups, key=lambda group: -group["bytes"]):
        if each["group"] not in _SITES:
            continue
        where, line, shape = _SITES[each["group"]]
        rows.append(
            {
                "bytes": each["bytes"] * 2 // 3,
                "count": max(1, each["count"] // 12),
                "group": each["group"],
                "where": where,
                "line": line,
                "shape": shape,
                "phase": "build" if each["group"] == "parameters" else "forward",
                "step": 0,
            }
        )
    return rows


def _phases(run: _Run) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for phase in ("build", "forward", "backward", "optimizer"):
        spans = [(band["first"], band["last"]) for band in run.bands if band["phase"] == phase]
        inside = [point for point in run.points if any(first <= point[0] <= last for first, last in spans)]
        if inside:
            rows.append(
                {
                    "phase": phase,
                    "step": 0,
                    "allocated_bytes": max(sum(point[2:]) for point in inside),
                    "reserved_bytes": max(point[1] for point in inside),
                }
            )
    return rows


def _oom(run: _Run, limit: int) -> dict[str, Any]:
    groups = _groups(run.points[-1])
    requested = round(1572 * run.scale) * MIB
    free = limit - run.points[-1][1]
    return {
        "requested_bytes": requested,
        "phase": "backward",
        "step": 1,
        "where": "train.py:316",
        "line": "scaler.scale(loss).backward()",
        "shape": [16384, 50304],
        "exact": True,
        "tensors": [{"name": "logits", "shape": [16, 1024, 50304], "dtype": "bfloat16"}],
        "message": (
            f"CUDA out of memory. Tried to allocate {requested / MIB:.2f} MiB. GPU 0 has a total capacity of "
            f"11.60 GiB of which {free / MIB:.2f} MiB is free. If reserved but unallocated memory is large "
            "try setting PYTORCH_ALLOC_CONF=expandable_segments:True to avoid fragmentation."
        ),
        "caught": False,
        "free_bytes": free,
        "alive": _largest(groups),
        "groups": groups,
    }
