"""Recordings that no training produced, for the tests of everything that only reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.recording import Recorded, Recording
from nanocheck.numerics.tiers import Distance
from nanocheck.numerics.trace import Fingerprint, Step, Trace

NAMES = ("transformer.wte.weight", "transformer.h.0.attn.c_attn.weight", "transformer.ln_f.weight")
CONFIG = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=32, vocab_size=256, batch=4)
ENVIRONMENT = {
    "torch": "2.14",
    "device": "cpu AVX2",
    "matrix_unit": "none",
    "text_sha256": "ab",
    "python": "3.11.7",
}
ERROR = Distance(loss=1e-4, grad_norm=1e-3, parameters=1e-3)


def weight(norm: float = 10.0, *, sha256: str = "00", moved: float = 0.0) -> Fingerprint:
    """A parameter, or one that lies ``moved`` from it."""
    return Fingerprint(sha256=sha256, norm=norm, sketch=(norm + moved, *[0.0] * 15))


def trace(losses: Sequence[float] = (5.0, 4.0, 3.0), **changes: Any) -> Trace:
    """A run with these losses, gradient norms of 1 and equal parameters after every step."""
    values: dict[str, Any] = {
        "config": CONFIG.to_dict(),
        "steps": tuple(Step(loss=loss, grad_norm=1.0) for loss in losses),
        "parameters": {step: {name: weight() for name in NAMES} for step in range(-1, len(losses))},
        "optimizer_sha256": "11",
        "evaluation": {},
        "environment": ENVIRONMENT,
    }
    return Trace(**{**values, **changes})


def with_loss(found: Trace, step: int, by: float) -> Trace:
    """The same with another loss of one step."""
    steps = list(found.steps)
    steps[step] = replace(steps[step], loss=steps[step].loss + by)
    return replace(found, steps=tuple(steps))


def with_parameter(found: Trace, step: int, name: str, moved: float = 0.0) -> Trace:
    """The same with other bytes of one parameter after one step, ``moved`` from where it was."""
    after = {**found.parameters[step], name: weight(sha256="ff", moved=moved)}
    return replace(found, parameters={**found.parameters, step: after})


def recorded(found: Trace | None = None, **changes: Any) -> Recorded:
    """A run that is 1e-4 nats from fp64."""
    plan = Plan(config=CONFIG, steps=3, every_step=True)
    values: dict[str, Any] = {
        "name": CONFIG.id,
        "plan": plan.to_dict(),
        "trace": trace() if found is None else found,
        "reference": "fp64",
        "error": ERROR,
    }
    return Recorded(**{**values, **changes})


def recording(*runs: Recorded, torch: str = "2.14.1+cu130") -> Recording:
    """A recording of these runs, or of one."""
    environment = {"torch": torch, "device": "cpu AVX2", "threads": "1"}
    return Recording(date="2026-01-02", environment=environment, runs=runs or (recorded(),))
