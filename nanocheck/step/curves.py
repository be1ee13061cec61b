"""Loss curves: judged by what any correct training does, and against what was stored. Imports no torch.

``baselines/loss/<configuration id>.json`` holds one curve per environment, one line each, so that a
change of one curve is a change of one line in a diff.

Schema history (``SCHEMA``):
1. first version.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from nanocheck.config import StepConfig
from nanocheck.errors import RequestError, StoredDataError
from nanocheck.stored import read_json, write_atomically

SCHEMA = 1

#: Steps of a stored curve, and of each window whose mean must fall.
STEPS = 16
WINDOW = 8
#: Steps that are trained a second time from the formulas (``textbook``).
TEXTBOOK_STEPS = 4

#: Nats around ln V for the first loss. The head is tied, so a token scores about 0.9 nats for being
#: repeated (normed vector of length sqrt(64) times a row of 64 draws of std 0.02, half of it the token's
#: own). 15 % of the text's tokens repeat the one before (runs of spaces), with a standard deviation of
#: 0.11 over batches of 4 windows of 32: 0.9 * (0.15 + 3.5 * 0.11).
START_BAND = 0.5

UPDATE = "pytest suites/loss --update-baselines"

#: Environment that must agree before a stored curve is compared tightly; ``python`` is for people.
COMPARED = ("torch", "device", "matrix_unit", "text_sha256")


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far apart two curves may be: nats per loss, and a fraction per gradient norm."""

    loss: float
    grad_norm: float


#: Within one environment, between equal batches, and against the textbook: ten times the largest
#: difference seen over 32 steps between 1 and 2 threads, AVX-512 and AVX2, AMX and none, a batch of 4 and
#: 4 micro-batches, the reference step and the textbook (fp32 1.6e-5 nats, norm 4.9e-4, for the fp32 sum of
#: 3.4 M squares; bf16 4.2e-4 and 6.7e-4; fp16 7.1e-5 and 4.7e-4).
SAME: Mapping[str, Tolerance] = {
    "fp32": Tolerance(loss=2e-4, grad_norm=5e-3),
    "tf32": Tolerance(loss=5e-3, grad_norm=1e-2),
    "bf16": Tolerance(loss=5e-3, grad_norm=1e-2),
    "fp16": Tolerance(loss=1e-3, grad_norm=5e-3),
}
#: Stale, but the same weights and batches: only torch or the processor differ.
OTHER_ARITHMETIC = Tolerance(loss=2e-2, grad_norm=5e-2)
#: Stale, and other batches (another text) or other weights (a GPU draws its own): what two seeds differ by.
OTHER_DRAWS = Tolerance(loss=1.5, grad_norm=3.0)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Losses in nats and gradient norms before clipping, one of each a step, and where they were measured."""

    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    environment: Mapping[str, str]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Curve:
        """
        Raises:
            StoredDataError: a field is missing, or a figure is no finite number.
        """
        try:
            losses, norms = tuple(data["losses"]), tuple(data["grad_norms"])
            environment = {name: str(data["environment"][name]) for name in (*COMPARED, "python")}
        except (KeyError, TypeError) as error:
            raise StoredDataError(f"malformed loss curve: {error!r}", mend=UPDATE) from error
        for value in (*losses, *norms):
            if type(value) is not float or not math.isfinite(value):
                raise StoredDataError(f"loss curve: expected finite numbers, found {value!r}", mend=UPDATE)
        return cls(losses=losses, grad_norms=norms, environment=environment)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, floats at full precision."""
        return {
            "environment": dict(self.environment),
            "losses": list(self.losses),
            "grad_norms": list(self.grad_norms),
        }


def start_problem(curve: Curve, config: StepConfig) -> str | None:
    """What is wrong with the first loss; an untrained model spreads its bets evenly over V tokens."""
    expected, found = math.log(config.vocab_size), curve.losses[0]
    if abs(found - expected) <= START_BAND:
        return None
    return f"the first loss: expected ln V = {expected:.4f} within {START_BAND} nats, found {found:.4f}"


def decrease_problem(curve: Curve) -> str | None:
    """What is wrong with the slope: the mean of every window of steps is below the one before."""
    means = window_means(curve.losses)
    if all(later < earlier for earlier, later in pairwise(means)):
        return None
    return f"the loss does not fall: means of {WINDOW} steps are {', '.join(f'{mean:.4f}' for mean in means)}"


def window_means(losses: Sequence[float]) -> list[float]:
    """Means of consecutive windows of ``WINDOW`` losses; a remainder is left out."""
    whole = len(losses) // WINDOW * WINDOW
    return [sum(losses[start : start + WINDOW]) / WINDOW for start in range(0, whole, WINDOW)]


def difference(found: Curve, expected: Curve, tolerance: Tolerance) -> str | None:
    """Where the curves part first, over the steps that ``expected`` has; ``None`` within the tolerance."""
    if len(found.losses) < len(expected.losses) or len(found.grad_norms) < len(expected.grad_norms):
        return f"expected {len(expected.losses)} steps, found {len(found.losses)}"
    for step, (new, old) in enumerate(zip(found.losses, expected.losses, strict=False)):
        if not abs(new - old) <= tolerance.loss:
            return f"loss of step {step}: expected {old!r} within {tolerance.loss:g} nats, found {new!r}"
    for step, (new, old) in enumerate(zip(found.grad_norms, expected.grad_norms, strict=False)):
        if not abs(new - old) <= tolerance.grad_norm * abs(old):
            band = f"{tolerance.grad_norm:.1%}"
            return f"gradient norm of step {step}: expected {old!r} within {band}, found {new!r}"
    return None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A stored curve, how closely it must be met, and why it is stale (``None`` when it is not)."""

    curve: Curve
    tolerance: Tolerance
    stale: str | None


@dataclass(frozen=True, kw_only=True)
class LossBaseline:
    """The stored curves of one configuration, one per environment."""

    config: StepConfig
    curves: tuple[Curve, ...]

    def expected(self, environment: Mapping[str, str]) -> Expected:
        """What to compare with, and how tightly.

        Without a curve of this environment it is the one that agrees in most, the newest torch first.
        """

        def differing(curve: Curve) -> list[str]:
            return [name for name in COMPARED if curve.environment[name] != environment[name]]

        nearest = min(self.curves, key=lambda curve: (len(differing(curve)), -_version(curve)))
        names = differing(nearest)
        if not names:
            return Expected(curve=nearest, tolerance=SAME[self.config.dtype], stale=None)
        there, here = nearest.environment, environment
        other_draws = "text_sha256" in names or _kind(there) != _kind(here)
        return Expected(
            curve=nearest,
            tolerance=OTHER_DRAWS if other_draws else OTHER_ARITHMETIC,
            stale="; ".join(f"{name} {there[name] or 'none'}, here {here[name] or 'none'}" for name in names),
        )

    def with_curve(self, curve: Curve) -> LossBaseline:
        """This baseline with the curve in the place of the one of the same environment."""
        others = [each for each in self.curves if _key(each) != _key(curve)]
        ordered = sorted([*others, curve], key=lambda each: (_version(each), _key(each)))
        return LossBaseline(config=self.config, curves=tuple(ordered))


def _version(curve: Curve) -> int:
    major, _, minor = curve.environment["torch"].partition(".")
    return int(major) * 1000 + int(minor)


def _key(curve: Curve) -> tuple[str, ...]:
    return tuple(curve.environment[name] for name in COMPARED)


def _kind(environment: Mapping[str, str]) -> bool:
    return environment["device"].startswith("cpu ")


def baseline_path(folder: Path, config: StepConfig) -> Path:
    """Where the curves of a configuration live."""
    return folder / f"{config.id}.json"


def load_baseline(path: Path, config: StepConfig) -> LossBaseline | None:
    """The stored curves, or ``None`` where there is no file.

    Raises:
        StoredDataError: damaged, of another schema, or of another configuration.
    """
    if not path.exists():
        return None
    data, _ = read_json(path, mend=UPDATE)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        problem = f"expected loss curves of schema {SCHEMA}, found {found!r}"
    elif data.get("config") != config.to_dict():
        problem = f"expected the curves of {config.id}, found those of another configuration"
    elif not isinstance(data.get("curves"), list) or not data["curves"]:
        problem = f"expected at least one curve, found {data.get('curves')!r:.80}"
    else:
        return LossBaseline(config=config, curves=tuple(Curve.from_dict(each) for each in data["curves"]))
    raise StoredDataError(f"{path}: {problem}", mend=UPDATE)


def _words(tolerance: Tolerance) -> dict[str, float]:
    return {"loss_nats": tolerance.loss, "grad_norm_fraction": tolerance.grad_norm}


def save_baseline(path: Path, baseline: LossBaseline) -> None:
    """Write the curves, one a line, in one piece.

    Raises:
        RequestError: this is CI, which judges and never writes.
    """
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        raise RequestError(
            "--update-baselines was asked of a CI run, which must not change what it is compared with",
            mend=f"run {UPDATE} on your machine and commit the change",
        )
    head = {
        "schema": SCHEMA,
        "provenance": "measured, real arithmetic",
        "tolerance": _words(SAME[baseline.config.dtype]),
        "tolerance_other_arithmetic": _words(OTHER_ARITHMETIC),
        "tolerance_other_draws": _words(OTHER_DRAWS),
        "config": baseline.config.to_dict(),
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}," for name, value in head.items()]
    curves = ",\n".join(f"    {json.dumps(curve.to_dict())}" for curve in baseline.curves)
    write_atomically(path, "\n".join(["{", *lines, '  "curves": [', curves, "  ]", "}", ""]))
