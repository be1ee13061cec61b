"""Traces that nothing computed, for whatever judges traces."""

from __future__ import annotations

from collections.abc import Sequence

from nanocheck.core.config import StepConfig
from nanocheck.numerics.trace import Fingerprint, Step, Trace

CONFIG = StepConfig(n_layer=1, n_head=1, n_embd=8, dtype="fp32")
HERE = {
    "torch": "2.14",
    "device": "cpu AVX512",
    "matrix_unit": "none",
    "text_sha256": "ab",
    "python": "3.12.1",
}


def fingerprint(value: float) -> Fingerprint:
    """Of a parameter with this one element."""
    return Fingerprint(sha256=f"{hash(value):x}", norm=abs(value), sketch=(value,))


def trace(
    losses: Sequence[float] = (10.0, 9.0),
    *,
    norms: Sequence[float] | None = None,
    parameter: float = 1.0,
    **environment: str,
) -> Trace:
    """A run with these losses and gradient norms (1 each), and one parameter of one element in the end."""
    norms = [1.0] * len(losses) if norms is None else norms
    return Trace(
        config=CONFIG.to_dict(),
        steps=tuple(
            Step(loss=loss, grad_norm=norm, largest_logit=2.0, update_ratio=0.01)
            for loss, norm in zip(losses, norms, strict=True)
        ),
        parameters={len(losses) - 1: {"weight": fingerprint(parameter)}},
        optimizer_sha256="00",
        evaluation={},
        environment={**HERE, **environment},
    )
