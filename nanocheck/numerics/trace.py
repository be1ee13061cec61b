"""What is kept of a training run: figures of every step, and fingerprints of its parameters. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from nanocheck.core.errors import StoredDataError

#: Environment that must agree before two traces are compared bitwise; ``python`` is for people.
COMPARED = ("torch", "device", "matrix_unit", "text_sha256")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One optimizer step.

    Attributes:
        loss: mean cross entropy in nats over the step's tokens.
        grad_norm: total norm before clipping; not finite where a loss scaler then skips the step.
        largest_logit: of the last micro-batch, by magnitude; ``None`` where the model keeps no logits.
        update_ratio: norm of the parameters' change over their norm; ``None`` where they change in the
            backward.
        scale: the loss scaler's, with which the step ran; 1 without one.
        skipped: the scaler found a gradient that is not finite, and left the parameters alone.
        updates: that the optimizer counts so far, for its bias correction; ``None`` where it does not count.
    """

    loss: float
    grad_norm: float
    largest_logit: float | None = None
    update_ratio: float | None = None
    scale: float = 1.0
    skipped: bool = False
    updates: int | None = None


@dataclass(frozen=True, kw_only=True)
class Fingerprint:
    """One parameter after a step.

    Attributes:
        sha256: of its bytes, the first 16 hexadecimal digits: equal if and only if it is bitwise equal.
        norm: Euclidean, in fp64.
        sketch: 16 sums of its elements under fixed signs (a count sketch, Charikar et al. 2002): the norm of
            the difference of two sketches estimates the norm of the difference of the parameters, without
            bias.
    """

    sha256: str
    norm: float
    sketch: tuple[float, ...]

    def distance(self, other: Fingerprint) -> float:
        """Estimated norm of the difference of the two parameters."""
        return math.dist(self.sketch, other.sketch)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One run.

    Attributes:
        config: ``StepConfig.to_dict()``.
        steps: in order.
        parameters: after step (counted from 0; -1: before the first) -> name -> fingerprint; the last step is
            always there.
        optimizer_sha256: of the optimizer's whole state after the last step.
        evaluation: split -> mean loss in nats, where one was asked for.
        facts: how it was computed, seen while it was: ``attention`` (``flash``, ``math``, ``compiled``) and
            ``attention_choice`` (what PyTorch chooses for these shapes), ``tf32``, ``training_mode`` and
            ``evaluation_mode`` (``train`` or ``eval``), ``logits`` (their dtype, where they are kept).
        environment: of ``job.environment``.
    """

    config: Mapping[str, Any]
    steps: tuple[Step, ...]
    parameters: Mapping[int, Mapping[str, Fingerprint]]
    optimizer_sha256: str
    evaluation: Mapping[str, float]
    environment: Mapping[str, str]
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def losses(self) -> tuple[float, ...]:
        return tuple(step.loss for step in self.steps)

    @property
    def grad_norms(self) -> tuple[float, ...]:
        return tuple(step.grad_norm for step in self.steps)

    @property
    def final(self) -> Mapping[str, Fingerprint]:
        """The parameters in the end."""
        return self.parameters[max(self.parameters)]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for strict JSON, floats at full precision; those that are not finite are texts."""
        return {
            "config": dict(self.config),
            "steps": [_to_plain(asdict(step)) for step in self.steps],
            "parameters": {
                str(step): {name: _to_plain(asdict(each)) for name, each in found.items()}
                for step, found in self.parameters.items()
            },
            "optimizer_sha256": self.optimizer_sha256,
            "evaluation": _to_plain(dict(self.evaluation)),
            "environment": dict(self.environment),
            "facts": dict(self.facts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Trace:
        """
        Raises:
            StoredDataError: a field is missing or of another type.
        """
        known = {each.name for each in fields(Step)}
        try:
            return cls(
                config=dict(data["config"]),
                steps=tuple(
                    Step(**{key: _of_plain(each[key]) for key in known & set(each)}) for each in data["steps"]
                ),
                parameters={
                    int(step): {
                        name: Fingerprint(
                            sha256=str(each["sha256"]),
                            norm=float(each["norm"]),
                            sketch=tuple(map(float, each["sketch"])),
                        )
                        for name, each in found.items()
                    }
                    for step, found in data["parameters"].items()
                },
                optimizer_sha256=str(data["optimizer_sha256"]),
                evaluation={str(key): float(value) for key, value in data["evaluation"].items()},
                environment={str(key): str(value) for key, value in data["environment"].items()},
                facts={str(key): str(value) for key, value in data.get("facts", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoredDataError(f"malformed trace: {error!r}", hint="record it again") from error


def _to_plain(value: Any) -> Any:
    """The same with texts for what JSON has no word for, such as the infinite norm of a skipped step."""
    if isinstance(value, dict):
        return {key: _to_plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _of_plain(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def finite(value: object) -> float:
    """A stored figure.

    Raises:
        ValueError: it is no finite number; a text such as ``nan`` is none, either.
    """
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"expected a finite number, found {value!r:.60}")
    return float(value)  # type: ignore[arg-type]


def not_finite(trace: Trace) -> str | None:
    """The first figure that is not finite, outside of steps that a loss scaler skipped."""
    for index, step in enumerate(trace.steps):
        for name in ("loss", "grad_norm", "largest_logit", "update_ratio"):
            value = getattr(step, name)
            if value is not None and not math.isfinite(value) and not step.skipped:
                return f"{name} of step {index} is {value}"
    for name, value in trace.evaluation.items():
        if not math.isfinite(value):
            return f"evaluation of {name} is {value}"
    for name, found in trace.final.items():
        if not math.isfinite(found.norm):
            return f"parameter {name} is not finite after step {max(trace.parameters)}"
    return None
