"""How long a step of an observed run would take on its card."""

from __future__ import annotations

from nanocheck.core.gpus import Gpu
from nanocheck.core.result import Provenance, RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.timing.card import Card
from nanocheck.timing.estimate import estimate


def step_time(result: RunResult, gpu: Gpu) -> StepTime | None:
    """
    Args:
        gpu: the card of the run: attention's kernels were chosen for it.

    Returns:
        None where no step was recorded, or a real card ran it: its host's time is not that of launches alone.
    """
    main = result.main
    if main.kernels is None or result.provenance is not Provenance.VIRTUAL:
        return None
    host = None if main.host_time is None else main.host_time.median_s
    return estimate(main.kernels, Card.of(gpu), host_seconds=host)
