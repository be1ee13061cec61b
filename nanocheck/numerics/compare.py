"""Did the training change between two recordings? Pure: no torch, no files.

Bitwise equal is equal. What is not may still be rounding: sums in another order, on another processor or by
another kernel. How much of that a number format does is known from the recordings themselves: each run was
also held against something finer, the formulas in fp64 or the same step in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from nanocheck.core.errors import RequestError
from nanocheck.core.pairing import Compared, pair
from nanocheck.numerics.divergence import Divergence, first_divergence
from nanocheck.numerics.recording import Recorded, Recording
from nanocheck.numerics.tiers import Distance, apart
from nanocheck.numerics.trace import Trace

#: What each verdict says, and whether something moved.
VERDICTS: Mapping[str, str] = {
    "equal": "bit for bit: every loss, gradient norm and parameter of every step",
    "rounding": "apart by no more than rounding errors of this number format are",
    "moved": "further apart than rounding errors explain, or nothing is known about them",
    "lost": "ran before, fails now",
    "gained": "failed before, runs now",
    "failed": "failed before, fails now",
    "other": "not the same training: other steps, another text; nothing is judged",
}
MOVED = ("moved", "lost")
#: Times the smaller of the two distances to the reference: the smaller one, since a run that went wrong is
#: far from it, too. Two runs that are equally near to it are at most 2 of these apart. Over ten seeds, the
#: math and the default attention, AVX2 and AVX-512 (with and without AMX), torch 2.9.1 and 2.14.1 it was 3.5
#: at most, while other initial weights gave 11 at least.
TOLERANCE_FACTOR = 4.0
#: No figure is read more finely than fp32: its relative rounding unit, doubled.
FP32 = 2.0**-23
FIGURES = ("loss", "grad_norm", "parameters")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One configuration of both recordings.

    Attributes:
        name: the configuration's.
        verdict: a key of ``VERDICTS``.
        divergence: the first difference; ``there`` is before, ``here`` after.
        apart: largest difference over all steps: losses in nats, norms and parameters relative.
        error: rounding error that the verdict took for granted: the smaller of both runs'.
        reference: see ``Recorded``.
        note: what else can be said, as one sentence without its full stop.
    """

    name: str
    verdict: str
    divergence: Divergence | None = None
    apart: Distance | None = None
    error: Distance | None = None
    reference: str = ""
    note: str = ""


def compare(before: Recording, after: Recording) -> Compared[Row]:
    """
    Raises:
        RequestError: they have no training in common.
    """
    rows, only_before, only_after = pair(before.named, after.named, compare_one)
    if all(row.verdict == "other" for row in rows):
        why = rows[0].note if rows else "no configuration stands in both"
        raise RequestError(
            f"expected two recordings of the same training, found nothing to compare: {why}",
            hint="record both with the same options, the same Python and the same nanocheck",
        )
    return Compared(
        rows=rows,
        only_before=only_before,
        only_after=only_after,
        before=dict(sorted(before.environment.items())),
        after=dict(sorted(after.environment.items())),
        verdicts=VERDICTS,
        moving=MOVED,
    )


def compare_one(before: Recorded, after: Recorded) -> Row:
    """The verdict on one configuration."""
    other = _otherwise(before, after)
    if other:
        return Row(name=before.name, verdict="other", note=other)
    if before.trace is None or after.trace is None:
        verdict = "failed" if before.trace is after.trace else "gained" if before.trace is None else "lost"
        return Row(name=before.name, verdict=verdict, note=after.failed or before.failed)
    old, new = before.trace, after.trace
    divergence = first_divergence(new, old)
    if divergence is None:
        forms = (
            "" if old.optimizer_sha256 == new.optimizer_sha256 else "the optimizer stores its state otherwise"
        )
        return Row(name=before.name, verdict="equal", note=forms)
    gap, error = apart(new, old), _rounding(before, after)
    # A parameter that only one of them has is no rounding error.
    within = (
        error is not None
        and divergence.magnitude < math.inf
        and all(getattr(gap, figure) <= TOLERANCE_FACTOR * getattr(error, figure) for figure in FIGURES)
    )
    return Row(
        name=before.name,
        verdict="rounding" if within and _skips(old) == _skips(new) else "moved",
        divergence=divergence,
        apart=gap,
        error=error,
        reference=before.reference or after.reference,
        note="; ".join(_notes(before, after, divergence, error)),
    )


def _rounding(before: Recorded, after: Recorded) -> Distance | None:
    assert before.trace is not None
    assert after.trace is not None
    errors = [run.error for run in (before, after) if run.error is not None]
    if not errors:
        return None
    largest = max(abs(loss) for loss in (*before.trace.losses, *after.trace.losses))
    least = {"loss": FP32 * largest, "grad_norm": FP32, "parameters": FP32}
    return Distance(
        **{name: max(least[name], min(getattr(error, name) for error in errors)) for name in FIGURES}
    )


def _otherwise(before: Recorded, after: Recorded) -> str:
    """What keeps two runs from being the same training; empty if nothing."""
    for key in sorted(set(before.plan) & set(after.plan)):
        if before.plan[key] != after.plan[key]:
            return f"{key}: recorded with {before.plan[key]!r:.60} and {after.plan[key]!r:.60}"
    if before.trace is None or after.trace is None:
        return ""
    texts = [run.trace.environment.get("text_sha256", "") for run in (before, after) if run.trace is not None]
    if texts[0] != texts[1]:
        return "trained on another text: it comes with Python, and its version is another one"
    if len(before.trace.steps) != len(after.trace.steps):
        return f"{len(before.trace.steps)} steps and {len(after.trace.steps)}"
    return ""


def _notes(before: Recorded, after: Recorded, divergence: Divergence, error: Distance | None) -> list[str]:
    assert before.trace is not None
    assert after.trace is not None
    found = []
    if divergence.step < 0:
        found.append("the same seed gave other initial weights")
    if _skips(before.trace) != _skips(after.trace):
        found.append("the loss scaler had other scales or skipped other steps")
    if error is None:
        found.append("nothing finer to measure its rounding error with")
    if before.error is not None and after.error is not None and before.reference == "fp64" == after.reference:
        found += _blame(before.error, after.error)
    return found


def _blame(before: Distance, after: Distance) -> list[str]:
    """Which of the two is wrong, where one is much further from the formulas than the other."""
    ratios = {name: (getattr(before, name), getattr(after, name)) for name in FIGURES}
    worst = max(FIGURES, key=lambda name: max(ratios[name]) / max(min(ratios[name]), FP32))
    old, new = (max(value, FP32) for value in ratios[worst])
    if max(old, new) <= TOLERANCE_FACTOR * min(old, new):
        return []
    which, other = ("after", "before") if new > old else ("before", "after")
    return [f"{which} is {max(old, new) / min(old, new):.3g} times as far from fp64 as {other} ({worst})"]


def _skips(trace: Trace) -> list[tuple[float, bool]]:
    return [(step.scale, step.skipped) for step in trace.steps]
