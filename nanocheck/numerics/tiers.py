"""The three tiers of "the same", stated once, and the judging by each. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from nanocheck.numerics.divergence import first_divergence, largest_gaps, same_end
from nanocheck.numerics.trace import Fingerprint, Trace, finite

#: tier -> what it promises.
TIERS: Mapping[str, str] = {
    "exact": "bit for bit: every loss, gradient norm and parameter, and the optimizer's state",
    "fp32": "the same mathematics in fp32 in another order: apart by no more than fp32's own rounding error",
    "16-bit": "bf16, fp16: no further from fp64 than this number format was seen to be with other seeds",
}
#: Seeds that rounding errors are measured with; a configuration's own seed is none of them. The distance has
#: a heavy tail (AdamW divides a gradient near zero by itself): five seeds were seen to miss it ninefold.
SEEDS = tuple(range(1, 17))
#: Times the largest distance from fp64 that was seen over the seeds: room for an unlucky seed, another order
#: of sums and another processor. The mildest mutant is a hundred times further off.
TOLERANCE_FACTOR = 4.0


@dataclass(frozen=True, kw_only=True)
class Distance:
    """Largest distance from the fp64 oracle over some seeds and all steps: measured, never guessed.

    Attributes:
        loss: nats. grad_norm: fraction. parameters: fraction of all parameters' norm, after the last step.
    """

    loss: float
    grad_norm: float
    parameters: float

    def to_dict(self) -> dict[str, float]:
        """Plain data for JSON."""
        return {"loss": self.loss, "grad_norm": self.grad_norm, "parameters": self.parameters}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Distance:
        """
        Raises:
            KeyError, TypeError, ValueError: the data are no distance.
        """
        return cls(**{name: finite(data[name]) for name in ("loss", "grad_norm", "parameters")})

    def union(self, other: Distance) -> Distance:
        """The larger of each."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("loss", "grad_norm", "parameters"))
        loss, grad_norm, parameters = (max(pair) for pair in pairs)
        return Distance(loss=loss, grad_norm=grad_norm, parameters=parameters)


def distance(here: Trace, there: Trace) -> Distance:
    """How far two runs are apart: losses and norms over all steps, parameters in the end."""
    loss, grad_norm = largest_gaps(here, there)
    return Distance(loss=loss, grad_norm=grad_norm, parameters=_parameters_apart(here.final, there.final))


def apart(here: Trace, there: Trace) -> Distance:
    """How far two runs are apart, the same both ways.

    Losses and norms over the steps that neither skipped, parameters after every step that both have kept.
    """
    steps = list(zip(here.steps, there.steps, strict=False))
    kept = [each for each in steps if not (each[0].skipped or each[1].skipped)]
    ours = replace(here, steps=tuple(each for each, _ in kept))
    theirs = replace(there, steps=tuple(each for _, each in kept))
    found = distance(ours, theirs).union(distance(theirs, ours))
    for step in set(here.parameters) & set(there.parameters):
        one, other = (replace(each, parameters={step: each.parameters[step]}) for each in (ours, theirs))
        found = found.union(distance(one, other)).union(distance(other, one))
    return found


def _parameters_apart(here: Mapping[str, Fingerprint], there: Mapping[str, Fingerprint]) -> float:
    # Sorted: a set's order is another one in each process, and so would be the last bit of the sums.
    names = sorted(set(here) & set(there))
    gap = sum(here[name].distance(there[name]) ** 2 for name in names)
    whole = sum(there[name].norm ** 2 for name in names)
    return float((gap / whole) ** 0.5) if whole else 0.0


def exact_problem(here: Trace, there: Trace) -> str | None:
    """What keeps two runs from being bitwise the same; None if nothing."""
    if len(here.steps) != len(there.steps):
        return f"expected {len(there.steps)} steps, found {len(here.steps)}"
    divergence = first_divergence(here, there)
    return str(divergence) if divergence is not None else same_end(here, there)


def close_problem(here: Trace, there: Trace, rounding_error: Distance, what: str) -> str | None:
    """What lies outside of ``TOLERANCE_FACTOR`` times the rounding error; None if nothing.

    Args:
        what: names ``there`` in the message, such as ``the formulas in fp64``.
    """
    if len(here.steps) != len(there.steps):
        return f"expected {len(there.steps)} steps, found {len(here.steps)}"
    for index, (new, old) in enumerate(zip(here.steps, there.steps, strict=True)):
        if not abs(new.loss - old.loss) <= TOLERANCE_FACTOR * rounding_error.loss:
            return (
                f"loss of step {index}: expected {old.loss!r} of {what} within "
                f"{TOLERANCE_FACTOR * rounding_error.loss:.3g} nats, found {new.loss!r}"
            )
        if not abs(new.grad_norm - old.grad_norm) <= TOLERANCE_FACTOR * rounding_error.grad_norm * abs(
            old.grad_norm
        ):
            return (
                f"gradient norm of step {index}: expected {old.grad_norm!r} of {what} within "
                f"{TOLERANCE_FACTOR * rounding_error.grad_norm:.3g} of it, found {new.grad_norm!r}"
            )
    apart = _parameters_apart(here.final, there.final)
    if not apart <= TOLERANCE_FACTOR * rounding_error.parameters:
        return (
            f"parameters after step {len(here.steps) - 1}: expected those of {what} within "
            f"{TOLERANCE_FACTOR * rounding_error.parameters:.3g} of their norm, found them {apart:.3g} apart"
        )
    return None
