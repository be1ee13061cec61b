"""How long a step of an observed run would take on its card."""

from __future__ import annotations

from msgspec.structs import replace

from nanocheck.core.gpus import Gpu
from nanocheck.core.host_time import HostTime
from nanocheck.core.kernels import KernelList
from nanocheck.core.result import Provenance, RunResult
from nanocheck.core.step_time import StepTime
from nanocheck.timing.card import Card, why_not_modelled
from nanocheck.timing.estimate import estimate
from nanocheck.timing.queue import issues


def step_time(result: RunResult, gpu: Gpu, *, host: bool = True) -> StepTime | None:
    """
    Args:
        gpu: the card of the run: attention's kernels were chosen for it.
        host: False leaves this host's time out: the card alone.

    Returns:
        None where no step was recorded, or a real card ran it: its host's time is not that of launches alone;
        and of a card that the model knows nothing of (``why_not_modelled``). None of several ranks: what
        they say to each other takes time, of which the model knows nothing.
    """
    main = result.main
    if result.config is not None and result.config.ranks > 1:
        return None
    if main.kernels is None or result.provenance is not Provenance.VIRTUAL:
        return None
    if why_not_modelled(gpu.capability_text, gpu.name):
        return None
    issuing = host_seconds(main.kernels, main.host_time) if host else None
    return estimate(main.kernels, Card.of(gpu), host_seconds=issuing)


def host_seconds(kernels: KernelList, host: HostTime | None) -> float | None:
    """What this host needs to issue a whole step; None where it was not measured.

    Where micro-batches that repeat others were left out while it was timed (the reference step leaves them
    out), what was measured grows by what the whole step issues beyond them.
    """
    if host is None or host.median_s is None:
        return None
    repeated = [part for part in kernels.parts if part.times > 1]
    micro_batches = 1 + sum(part.times for part in repeated)
    left_out = micro_batches - max(host.micro_batches, 1)
    if len(repeated) != 1 or left_out <= 0:
        return host.median_s
    whole = issues(kernels)
    (part,) = repeated
    beyond = issues(replace(kernels, parts=(replace(part, times=min(left_out, part.times)),)))
    return host.median_s * whole / (whole - beyond) if whole > beyond else host.median_s
