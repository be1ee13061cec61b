"""How near a run on the language came to its entropy floor, and how near it must come. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from statistics import fmean, stdev
from typing import Any

from nanocheck.core.config import StepConfig
from nanocheck.core.step_fields import OPTIMIZERS
from nanocheck.numerics.language.source import SYMBOLS, language
from nanocheck.numerics.plan import Plan
from nanocheck.numerics.trace import Trace

#: Steps at the end of a run whose mean training loss is looked at.
TAIL = 16
#: Nats over the whole fresh text by which a causal model that never saw it may come to lie below the source:
#: that happens with a probability of e^-LUCK = 1e-9 at most. For any such model Q and the source P the
#: expectation of Q(text) / P(text) is 1, so that P(ln Q - ln P >= a) <= e^-a by Markov's inequality
#: (the no-hypercompression inequality: Grünwald, The Minimum Description Length Principle, 2007, 3.3).
#: No spread has to be estimated.
LUCK = 9 * math.log(10)
#: Standard errors of the mean training loss within which it may lie below the floor. Parts of the training
#: text are seen more than once, so that the bound above does not hold for it.
ERRORS = 5.0
#: Part of the way from the floor up to the bigram that a model must stay below.
CONTEXT = 0.5

#: One layer can express the language.
_SHAPE = {"n_layer": 1, "n_head": 1, "block_size": 16, "vocab_size": SYMBOLS, "dtype": "fp32"}
#: Optimizer steps, width, sequences a step. GPT-2 is wide because a rate of 6e-4, nanoGPT's, moves a narrow
#: one too slowly for a test. Muon needs fewer steps, but nanochat-2026 warms up over 40; it is narrow and has
#: more sequences because its seeds differ most.
_SIZES = {
    "gpt2": (80, 128, 16),
    "nanochat-2025": (50, 64, 16),
    "nanochat-2026": (80, 32, 32),
    "autoresearch": (50, 64, 16),
}
#: Sequences of fresh text.
_FRESH = 256
_ASKED: tuple[dict[str, Any], ...] = (
    *(
        {"optimizer": name}
        for name in ("adamw-fused", "adamw-foreach", "adamw-loop", "adamw-8bit", "adamw-4bit")
    ),
    *({"model": name} for name in ("nanochat-2025", "nanochat-2026", "autoresearch")),
)
#: Optimizers that only a GPU can be asked for, and why.
ON_A_GPU = {
    "adamw-8bit-paged": "needs a GPU: bitsandbytes pages to the host from one; on the CPU it is adamw-8bit",
    "adamw-offload": "needs a GPU: torchao moves the state from one to the host",
}
#: Optimizer -> its package, the oldest release that will do, and why that one.
_PACKAGES = {
    "adamw-8bit": ("bitsandbytes", (0, 50), "the first with optimizers on the CPU (its pull request 1901)"),
    "adamw-8bit-paged": ("bitsandbytes", (0, 45), "the oldest that nanocheck was tried with"),
    "adamw-4bit": ("torchao", (0, 13), "the oldest that nanocheck was tried with"),
    "adamw-offload": ("torchao", (0, 13), "the oldest that nanocheck was tried with"),
}


def plans() -> list[Plan]:
    """A run for each optimizer that a CPU can run: GPT-2's AdamWs, and Muon in its three models."""
    found = [_plan(fields) for fields in _ASKED]
    asked = {plan.config.optimizer for plan in found}
    assert asked.isdisjoint(ON_A_GPU)
    assert asked.union(ON_A_GPU) == set(OPTIMIZERS), "an optimizer that is neither asked nor explained"
    return found


def gpu_plans() -> list[Plan]:
    """A run for each optimizer that needs a GPU."""
    return [_plan({"optimizer": name}) for name in ON_A_GPU]


def _plan(fields: Mapping[str, Any]) -> Plan:
    steps, width, batch = _SIZES[fields.get("model", "gpt2")]
    config = StepConfig.from_dict({**_SHAPE, "n_embd": width, "batch": batch, **fields})
    return Plan(config=config, text="language", steps=steps, held_out=_FRESH // batch)


def why_not(plan: Plan) -> str | None:
    """Why this machine cannot be asked for a run; ``None`` where it can."""
    if plan.config.optimizer not in _PACKAGES:
        return None
    package, oldest, why = _PACKAGES[plan.config.optimizer]
    needed = f"pip install '{package}>={'.'.join(map(str, oldest))}', {why}"
    try:
        found = metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"{package} is not installed: {needed}"
    release = tuple(map(int, re.findall(r"\d+", found)[:2]))
    return None if release >= oldest else f"{package} is {found}: {needed}"


def with_seed(plan: Plan, seed: int) -> Plan:
    """The same run with other first weights and other windows of the same text."""
    return replace(plan, config=replace(plan.config, seed=seed))


@dataclass(frozen=True, kw_only=True)
class Approach:
    """What a run on the language came to, in nats a token.

    Attributes:
        name: the optimizer, and the model where it is not GPT-2.
        steps: optimizer steps.
        held_out: mean loss on ``tokens`` targets of fresh text.
        source: what the source itself loses on the same.
        error: standard error of their difference, from the sample.
        tail, tail_error: mean training loss of the last ``TAIL`` steps, and its standard error.
        floor: the closed form for windows of this length, whose first position sees one token only.
        unigram, bigram: closed forms of the lowest loss with no context, and with the last token alone.
    """

    name: str
    steps: int
    held_out: float
    source: float
    error: float
    tokens: int
    tail: float
    tail_error: float
    floor: float
    unigram: float
    bigram: float

    @classmethod
    def of(cls, plan: Plan, trace: Trace) -> Approach:
        """What ``plan``, a run on the language with fresh text held out, has come to."""
        config, known = plan.config, language()
        last = trace.losses[-TAIL:]
        return cls(
            name=config.optimizer if config.model == "gpt2" else f"{config.optimizer}, {config.model}",
            steps=len(trace.steps),
            held_out=trace.evaluation["held_out"],
            source=trace.evaluation["held_out_source"],
            error=trace.evaluation["held_out_error"],
            tokens=plan.held_out * config.batch * config.block_size,
            tail=fmean(last),
            tail_error=stdev(last) / math.sqrt(len(last)),
            floor=known.floor(config.block_size),
            unigram=known.entropies[0],
            bigram=known.entropies[1],
        )

    @property
    def distance(self) -> float:
        """Nats above the floor: above the source on the same text, where the luck of the draw cancels."""
        return self.held_out - self.source

    @property
    def band(self) -> float:
        """Nats a token by which the held-out loss may be below the source: see ``LUCK``."""
        return LUCK / self.tokens

    def crossing_problem(self) -> str | None:
        """What lies below the floor by more than chance allows: it has seen what it was to predict."""
        if not self.distance >= -self.band:
            return (
                f"held-out loss: expected at least the source's {self.source:.4f} nats within "
                f"{self.band:.4f}, found {self.held_out:.4f}"
            )
        room = ERRORS * self.tail_error
        if not self.tail >= self.floor - room:
            return (
                f"training loss of the last {TAIL} steps: expected at least the floor of {self.floor:.4f} "
                f"nats within {room:.4f}, found {self.tail:.4f}"
            )
        return None

    def context_problem(self) -> str | None:
        """What shows that the model makes too little of its context, or of its order; ``None`` if nothing."""
        most = CONTEXT * (self.bigram - self.floor)
        if self.distance < most:
            return None
        return (
            f"held-out loss: expected less than {most:.4f} nats above the floor, {CONTEXT:.0%} of the way up "
            f"to the bigram ({self.bigram:.4f}; unigram {self.unigram:.4f}), found {self.distance:.4f}"
        )

    def row(self) -> dict[str, str | int]:
        """For a table; the distance with its standard error."""
        return {
            "optimizer": self.name,
            "steps": self.steps,
            "loss held out": f"{self.held_out:.4f}",
            "source on it": f"{self.source:.4f}",
            "distance": f"{self.distance:.4f} ± {self.error:.4f}",
            "floor": f"{self.floor:.4f}",
            "bigram": f"{self.bigram:.4f}",
            "unigram": f"{self.unigram:.4f}",
        }
