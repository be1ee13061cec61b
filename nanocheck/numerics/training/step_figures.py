"""Figures of every step, taken where they are: what becomes a ``Trace``. Runs in the job's process."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from nanocheck.numerics.trace import Fingerprint, Step
from nanocheck.step.methods.in_backward import UpdateInBackward
from nanocheck.step.training import Training, Watch

BUCKETS = 16


class Figures(Watch):
    """Collects a run's steps and fingerprints.

    Args:
        every_step: keep the parameters' fingerprints of every step, and (as step -1) those that the first
            step began with, not those of the last one only.
        poison: value and step: see ``Plan.poison``.
    """

    def __init__(self, *, every_step: bool = False, poison: tuple[str, int] | None = None) -> None:
        self.every_step = every_step
        self.poison = poison
        self.parameters: dict[int, dict[str, Fingerprint]] = {}
        self.evaluation: dict[str, float] = {}
        self.training: Training | None = None
        self.facts: dict[str, str] = {}
        self._marks: list[dict[str, Any]] = []
        self._largest: float | None = None
        self._before: list[Tensor] = []
        self._scale = 1.0

    def micro_batch(self, training: Training) -> None:
        if not self.facts:
            self.facts = facts_of(training)
        if training.logits is not None:
            self._largest = training.logits.detach().abs().max().item()

    def before_update(self, training: Training) -> None:
        self._scale = training.scaler.get_scale()
        if self.poison is not None and self.poison[1] == len(self._marks):
            gradient = next(each.grad for each in training.model.parameters() if each.grad is not None)
            gradient.view(-1)[0] = float(self.poison[0])
        early = isinstance(training.optimizer, UpdateInBackward)
        self._before = [] if early else [each.detach().clone() for each in training.model.parameters()]
        if self.every_step and not self._marks and not early:
            self.parameters[-1] = fingerprints(training.model)

    def after_update(self, training: Training) -> None:
        self.training = training
        ratio = None
        if self._before:
            after = list(training.model.parameters())
            change = _norm(new.detach() - old for new, old in zip(after, self._before, strict=True))
            ratio = change / (_norm(self._before) or 1.0)
        mark = {"largest_logit": self._largest, "update_ratio": ratio, "scale": self._scale}
        mark["updates"] = _updates(training.optimizer)
        # A scaler that found a gradient which is not finite lowers its scale and leaves the parameters alone.
        mark["skipped"] = training.scaler.is_enabled() and training.scaler.get_scale() < self._scale
        self._marks.append(mark)
        self._before = []
        if self.every_step:
            self.parameters[len(self._marks) - 1] = fingerprints(training.model)

    def evaluating(self, training: Training) -> None:
        self.facts["evaluation_mode"] = _mode(training)

    def saved(self, training: Training, means: dict[str, float]) -> None:
        self.evaluation = dict(means)

    def steps(self, losses: Iterable[float], grad_norms: Iterable[float]) -> list[Step]:
        """The steps, with what ``run_step`` read of each."""
        return [
            Step(loss=loss, grad_norm=norm, **mark)
            for loss, norm, mark in zip(losses, grad_norms, self._marks, strict=True)
        ]

    def end(self) -> tuple[dict[int, dict[str, Fingerprint]], str]:
        """The parameters kept, those of the last step among them, and a hash of the optimizer's state."""
        assert self.training is not None, "no step ran"
        if not self.every_step:
            self.parameters[len(self._marks) - 1] = fingerprints(self.training.model)
        return self.parameters, state_sha256(self.training.optimizer)


def facts_of(training: Training) -> dict[str, str]:
    """How the last micro-batch was computed; see ``Trace.facts``."""
    assert training.loss is not None
    nodes = _nodes(training.loss.grad_fn)
    attention = next((each for each in nodes if each.startswith("ScaledDotProduct")), "")
    compiled = any(each.startswith("CompiledFunction") for each in nodes)
    return {
        "attention": "flash" if "Flash" in attention else attention or ("compiled" if compiled else "math"),
        "tf32": "on" if torch.backends.cuda.matmul.allow_tf32 else "off",
        "training_mode": _mode(training),
        "logits": "" if training.logits is None else str(training.logits.dtype).removeprefix("torch."),
    }


def _mode(training: Training) -> str:
    modes = {module.training for module in training.network.modules()}
    return "mixed" if len(modes) > 1 else "train" if modes == {True} else "eval"


def _nodes(root: Any) -> list[str]:
    """Names of the autograd graph's nodes; it outlives its backward, only what it saved is gone."""
    seen, open_ends, names = {root}, [root], []
    while open_ends:
        node = open_ends.pop()
        names.append(type(node).__name__)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                open_ends.append(following)
    return names


def fingerprints(model: torch.nn.Module) -> dict[str, Fingerprint]:
    """Every parameter by name, a tied one once."""
    return {name: fingerprint(each) for name, each in model.named_parameters()}


def fingerprint(tensor: Tensor) -> Fingerprint:
    """See ``Fingerprint``."""
    host = tensor.detach().cpu().contiguous()
    flat = host.double().flatten()
    padded = torch.nn.functional.pad(flat, (0, -len(flat) % BUCKETS))
    index = torch.arange(len(padded), dtype=torch.int64)
    # Knuth's multiplicative hash; the sign of an element depends on its place alone.
    signs = 1.0 - 2.0 * ((index * 2654435761 >> 16) & 1).double()
    sums = (padded * signs).view(-1, BUCKETS).sum(0)
    return Fingerprint(sha256=_sha256(host), norm=flat.norm().item(), sketch=tuple(sums.tolist()))


def _updates(optimizer: torch.optim.Optimizer) -> int | None:
    steps = [int(state["step"]) for state in getattr(optimizer, "state", {}).values() if "step" in state]
    return max(steps, default=None)


def _norm(tensors: Iterable[Tensor]) -> float:
    return float(sum(each.double().square().sum().item() for each in tensors) ** 0.5)


def _sha256(host: Tensor) -> str:
    return hashlib.sha256(host.view(torch.uint8).numpy().tobytes()).hexdigest()[:16]


def state_sha256(optimizer: torch.optim.Optimizer) -> str:
    """Of every tensor's bits and every number in the optimizer's state."""
    found = hashlib.sha256()

    def take(value: Any) -> None:
        if hasattr(value, "__tensor_flatten__"):
            # torchao's state: a tensor made of others, which has no bytes of its own.
            names, rest = value.__tensor_flatten__()
            take({**{name: getattr(value, name) for name in names}, "": rest})
        elif isinstance(value, Tensor):
            found.update(_sha256(value.detach().cpu().contiguous().reshape(-1)).encode())
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                found.update(str(key).encode())
                take(value[key])
        elif isinstance(value, (list, tuple)):
            for each in value:
                take(each)
        else:
            found.update(repr(value).encode())

    take(optimizer.state_dict())
    return found.hexdigest()[:16]
