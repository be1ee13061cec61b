"""Golden curves: what a configuration's loss was, and how far from it is still the same. No torch.

``baselines/loss/<configuration id>.json`` holds one curve per environment, one line each, so that a
change of one curve is a change of one line in a diff. Every tolerance in it was measured over seeds.

Schema history (``SCHEMA``):
1. tolerances were constants of the code.
2. every curve with its own spreads, its slope and the bands of its canaries.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nanocheck.core.baselines import refuse_update_in_ci
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import StoredDataError
from nanocheck.core.files import dump_rows, read_json, write_atomically
from nanocheck.numerics.divergence import largest_gaps
from nanocheck.numerics.properties import canaries, slope
from nanocheck.numerics.tiers import SEEDS, TOLERANCE_FACTOR, Distance, distance
from nanocheck.numerics.trace import COMPARED, Trace, not_finite

SCHEMA = 2
#: Times the largest difference between two seeds, where the batches or the first weights are other ones.
SEED_VARIATION_FACTOR = 2.0
UPDATE = "pytest suites/loss --update-baselines"


@dataclass(frozen=True, kw_only=True)
class Golden:
    """One curve in one environment.

    Attributes:
        losses: nats. grad_norms: before clipping.
        rounding_error: largest distance from fp64 over ``SEEDS``; ``rounding`` in the file.
        seed_variation: largest difference between two of the seeds: nats of a loss, fraction of a norm;
            ``draws`` in the file.
        slope: nats per step, see ``properties.slope``, and the least and the largest of the seeds.
        bands: canary -> smallest and largest value over the seeds.
    """

    environment: Mapping[str, str]
    losses: tuple[float, ...]
    grad_norms: tuple[float, ...]
    rounding_error: Distance
    seed_variation: tuple[float, float]
    slope: tuple[float, float, float]
    bands: Mapping[str, tuple[float, float]]

    @classmethod
    def measured(cls, trace: Trace, seeds: Sequence[tuple[Trace, Trace]]) -> Golden:
        """The curve of a run, with what was measured over other seeds.

        Args:
            seeds: runs with other seeds, each with its oracle in fp64.

        Raises:
            StoredDataError: a figure is not finite.
        """
        for each in (trace, *(run for run, _ in seeds)):
            problem = not_finite(each)
            if problem is not None:
                raise StoredDataError(f"refused to store what is not finite: {problem}", hint="fix the step")
        rounding_error = Distance(loss=0.0, grad_norm=0.0, parameters=0.0)
        for run, oracle in seeds:
            rounding_error = rounding_error.union(distance(run, oracle))
        gaps = [largest_gaps(a, b) for a, _ in seeds for b, _ in seeds]
        slopes = [slope(run.losses) for run, _ in seeds]
        ranges = [canaries(run) for run, _ in seeds]
        return cls(
            environment={name: trace.environment[name] for name in (*COMPARED, "python")},
            losses=trace.losses,
            grad_norms=trace.grad_norms,
            rounding_error=rounding_error,
            seed_variation=(max(gap[0] for gap in gaps), max(gap[1] for gap in gaps)),
            slope=(slope(trace.losses), min(slopes), max(slopes)),
            bands={
                name: (min(each[name][0] for each in ranges), max(each[name][1] for each in ranges))
                for name in ranges[0]
            },
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Golden:
        """
        Raises:
            StoredDataError: a field is missing, or a figure is no finite number.
        """
        try:
            golden = cls(
                environment={name: str(data["environment"][name]) for name in (*COMPARED, "python")},
                losses=tuple(data["losses"]),
                grad_norms=tuple(data["grad_norms"]),
                rounding_error=Distance.from_dict(data["rounding"]),
                seed_variation=(data["draws"][0], data["draws"][1]),
                slope=(data["slope"][0], data["slope"][1], data["slope"][2]),
                bands={str(name): (band[0], band[1]) for name, band in data["bands"].items()},
            )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise StoredDataError(f"malformed loss curve: {error!r}", hint=UPDATE) from error
        bands = [edge for band in golden.bands.values() for edge in band]
        for value in (*golden.losses, *golden.grad_norms, *golden.seed_variation, *golden.slope, *bands):
            if type(value) is not float or not math.isfinite(value):
                raise StoredDataError(f"loss curve: expected finite numbers, found {value!r}", hint=UPDATE)
        return golden

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON, floats at full precision."""
        return {
            "environment": dict(self.environment),
            "losses": self.losses,
            "grad_norms": self.grad_norms,
            "rounding": self.rounding_error.to_dict(),
            "draws": self.seed_variation,
            "slope": self.slope,
            "bands": dict(self.bands),
        }

    def slope_problem(self, trace: Trace) -> str | None:
        """What is wrong with a slope: it is outside of the seeds' by more than they differ among them."""
        _, low, high = self.slope
        found, room = slope(trace.losses), high - low
        if low - room <= found <= high + room:
            return None
        return f"slope: expected {low - room:.5f} to {high + room:.5f} nats a step, found {found:.5f}"

    def canary_problem(self, trace: Trace) -> str | None:
        """The first canary outside of its band, widened by its own width at both ends."""
        found = canaries(trace)
        for name, (low, high) in self.bands.items():
            room = high - low
            if name not in found:
                return f"{name}: expected {low:.4g} to {high:.4g}, found none"
            least, most = found[name]
            if not (least >= low - room and most <= high + room):
                return (
                    f"{name}: expected {low - room:.4g} to {high + room:.4g}, found {least:.4g} to {most:.4g}"
                )
        return None


def curve_problem(trace: Trace, golden: Golden, loss: float, grad_norm: float) -> str | None:
    """Where a run leaves its golden curve first; None within the tolerances (nats, fraction of a norm)."""
    if len(trace.losses) != len(golden.losses):
        return f"expected {len(golden.losses)} steps, found {len(trace.losses)}"
    for step, (new, old) in enumerate(zip(trace.losses, golden.losses, strict=True)):
        if not abs(new - old) <= loss:
            return f"loss of step {step}: expected {old!r} within {loss:.3g} nats, found {new!r}"
    for step, (new, old) in enumerate(zip(trace.grad_norms, golden.grad_norms, strict=True)):
        if not abs(new - old) <= grad_norm * abs(old):
            return f"gradient norm of step {step}: expected {old!r} within {grad_norm:.3g}, found {new!r}"
    return None


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A stored curve, how closely it must be met (nats, fraction of a norm), and why it is stale, or None."""

    golden: Golden
    loss: float
    grad_norm: float
    stale: str | None


@dataclass(frozen=True, kw_only=True)
class Curves:
    """The golden curves of one configuration, one per environment."""

    config: StepConfig
    curves: tuple[Golden, ...]

    def expected(self, environment: Mapping[str, str]) -> Expected:
        """What to compare with, and how tightly.

        Without a curve of this environment it is the one that agrees in most, the newest torch first. Another
        torch or processor only rounds in another way; another text, or a GPU with weights of its own, is
        another draw.
        """

        def differing(curve: Golden) -> list[str]:
            return [name for name in COMPARED if curve.environment[name] != environment[name]]

        nearest = min(self.curves, key=lambda curve: (len(differing(curve)), -_version(curve)))
        names = differing(nearest)
        there, here = nearest.environment, environment
        drawn = "text_sha256" in names or _on_cpu(there) != _on_cpu(here)
        stale = "; ".join(f"{name} {there[name] or 'none'}, here {here[name] or 'none'}" for name in names)
        return Expected(
            golden=nearest,
            loss=SEED_VARIATION_FACTOR * nearest.seed_variation[0]
            if drawn
            else TOLERANCE_FACTOR * nearest.rounding_error.loss,
            grad_norm=SEED_VARIATION_FACTOR * nearest.seed_variation[1]
            if drawn
            else TOLERANCE_FACTOR * nearest.rounding_error.grad_norm,
            stale=stale or None,
        )

    def with_curve(self, curve: Golden) -> Curves:
        """These with the curve in the place of the one of the same environment."""
        others = [each for each in self.curves if _key(each) != _key(curve)]
        ordered = sorted([*others, curve], key=lambda each: (_version(each), _key(each)))
        return Curves(config=self.config, curves=tuple(ordered))


def _version(curve: Golden) -> int:
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,3})", curve.environment["torch"])
    return int(found[1]) * 1000 + int(found[2]) if found else 0


def _key(curve: Golden) -> tuple[str, ...]:
    return tuple(curve.environment[name] for name in COMPARED)


def _on_cpu(environment: Mapping[str, str]) -> bool:
    return environment["device"].startswith("cpu ")


def golden_path(folder: Path, config: StepConfig) -> Path:
    """Where the curves of a configuration live."""
    return folder / f"{config.id}.json"


def load_golden(path: Path, config: StepConfig) -> Curves | None:
    """The stored curves, or ``None`` where there is no file.

    Raises:
        StoredDataError: damaged, of another schema, or of another configuration.
    """
    if not path.exists():
        return None
    data, _ = read_json(path, hint=UPDATE)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        found = data.get("schema") if isinstance(data, dict) else type(data).__name__
        problem = f"expected loss curves of schema {SCHEMA}, found {found!r}"
    elif data.get("config") != config.to_dict():
        problem = f"expected the curves of {config.id}, found those of another configuration"
    elif not isinstance(data.get("curves"), list) or not data["curves"]:
        problem = f"expected at least one curve, found {data.get('curves')!r:.80}"
    else:
        return Curves(config=config, curves=tuple(Golden.from_dict(each) for each in data["curves"]))
    raise StoredDataError(f"{path}: {problem}", hint=UPDATE)


def save_golden(path: Path, stored: Curves) -> None:
    """Write the curves, one a line, in one piece.

    Raises:
        RequestError: this is CI, which judges and never writes.
    """
    refuse_update_in_ci()
    head = {
        "schema": SCHEMA,
        "provenance": "measured, real arithmetic",
        "seeds": list(SEEDS),
        "k_rounding": TOLERANCE_FACTOR,
        "k_draws": SEED_VARIATION_FACTOR,
        "config": stored.config.to_dict(),
    }
    curves = [json.dumps(curve.to_dict()) for curve in stored.curves]
    write_atomically(path, dump_rows(head, "curves", curves, indent=2))
