"""Where two runs part: the first step, figure and parameter that differ, and by how much. No torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from nanocheck.numerics.trace import Trace


@dataclass(frozen=True, kw_only=True)
class Divergence:
    """The first difference of two runs.

    Attributes:
        step: counted from 0; -1 for the parameters that the first step began with.
        what: ``loss``, ``grad_norm``, ``scale``, ``skipped``, or a parameter's name.
        here, there: the values; norms for a parameter.
        magnitude: of the difference; relative to ``there``, but for a loss, which is in nats.
    """

    step: int
    what: str
    here: float
    there: float
    magnitude: float

    def __str__(self) -> str:
        how = f"{self.magnitude:.3g} nats" if self.what == "loss" else f"{self.magnitude:.3g} of it"
        when = "before the first step" if self.step < 0 else f"step {self.step}"
        return f"{when}, {self.what}: {self.there!r} and {self.here!r}, {how} apart"


def first_divergence(here: Trace, there: Trace) -> Divergence | None:
    """The first bit that differs, in the order in which a step computes: loss, gradient, parameters.

    Compares the steps that both have, and parameters after the steps for which both have them.
    """
    if -1 in here.parameters and -1 in there.parameters:
        divergence = _first_parameter(here, there, -1)
        if divergence is not None:
            return divergence
    for index, (new, old) in enumerate(zip(here.steps, there.steps, strict=False)):
        for what in ("loss", "grad_norm", "scale"):
            a, b = float(getattr(new, what)), float(getattr(old, what))
            if a != b and not (math.isnan(a) and math.isnan(b)):
                gap = abs(a - b) / (1.0 if what == "loss" else abs(b) or 1.0)
                return Divergence(step=index, what=what, here=a, there=b, magnitude=gap)
        if index in here.parameters and index in there.parameters:
            divergence = _first_parameter(here, there, index)
            if divergence is not None:
                return divergence
    last, other = max(here.parameters), max(there.parameters)
    return _first_parameter(here, there, last) if last == other and last >= len(here.steps) else None


def _first_parameter(here: Trace, there: Trace, step: int) -> Divergence | None:
    ours, theirs = here.parameters[step], there.parameters[step]
    for name in [*theirs, *(each for each in ours if each not in theirs)]:
        if name not in ours or name not in theirs:
            here_norm, there_norm = (
                found[name].norm if name in found else math.nan for found in (ours, theirs)
            )
            return Divergence(step=step, what=name, here=here_norm, there=there_norm, magnitude=math.inf)
        if ours[name].sha256 != theirs[name].sha256:
            gap = ours[name].distance(theirs[name]) / (theirs[name].norm or 1.0)
            return Divergence(
                step=step, what=name, here=ours[name].norm, there=theirs[name].norm, magnitude=gap
            )
    return None


def same_end(here: Trace, there: Trace) -> str | None:
    """What differs after the last step, bit by bit: parameters and the optimizer's state; None if nothing."""
    divergence = _ends(here, there)
    if divergence is not None:
        return divergence
    if here.optimizer_sha256 != there.optimizer_sha256:
        return "the optimizer's state differs, the parameters do not"
    return None


def _ends(here: Trace, there: Trace) -> str | None:
    ours, theirs = here.final, there.final
    if set(ours) != set(theirs):
        odd = sorted(set(ours) ^ set(theirs))
        return f"parameters of one run only: {', '.join(odd[:3])}"
    for name, found in theirs.items():
        if ours[name].sha256 != found.sha256:
            gap = ours[name].distance(found) / (found.norm or 1.0)
            return f"parameter {name} differs by {gap:.3g} of its norm"
    return None


def largest_gaps(here: Trace, there: Trace) -> tuple[float, float]:
    """Largest gap of a loss in nats, and of a gradient norm relative to ``there``, over common steps."""
    losses = [abs(a - b) for a, b in zip(here.losses, there.losses, strict=False)]
    norms = [
        abs(a - b) / abs(b) if b else abs(a) for a, b in zip(here.grad_norms, there.grad_norms, strict=False)
    ]
    return max(losses, default=0.0), max(norms, default=0.0)
