"""What to train, as plain data: a configuration, its text, and what is done to the run. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nanocheck.core.config import StepConfig

#: ``gpt2``: GPT-2's own ids. ``compact``: the same tokens, numbered in the order in which they first occur,
#: as far as the vocabulary goes. ``one``: a single window of it, again and again. ``bytes``: those of
#: the text. ``language``: see ``nanocheck.numerics.language.source``.
TEXTS = ("gpt2", "compact", "one", "bytes", "language")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One run with real arithmetic; equal plans give one run a session.

    Attributes:
        config: what to train.
        steps: optimizer steps.
        text: see ``TEXTS``.
        oracle: train the formulas in fp64 instead of the step (``step.textbook``); GPT-2 only.
        every_step: keep the fingerprints of all parameters after every step.
        save_after: evaluate and save a checkpoint after so many steps, then go on.
        resumes: the run to resume from its checkpoint, in another process.
        repeat: how often to run in one process; the trace is the last one's.
        held_out: batches of fresh text on which the model is evaluated in the end; of the language only.
        again: tells apart runs that are otherwise the same.
        attention: the backend that PyTorch is held to, ``math`` or ``flash``; empty for its own choice.
        threads: of the CPU.
        scaler: options of the loss scaler; see ``step.precision.grad_scaler``.
        poison: ``("nan", 3)``: one element of a gradient of step 3 is that, before anybody looks.
        micro_batches: of a step, where they are not ``config.accumulation``, by which the loss is divided.
    """

    config: StepConfig
    steps: int = 16
    text: str = "bytes"
    oracle: bool = False
    every_step: bool = False
    save_after: int | None = None
    resumes: Plan | None = None
    repeat: int = 1
    held_out: int = 0
    again: int = 0
    attention: str = ""
    threads: int = 1
    scaler: Mapping[str, Any] = field(default_factory=dict)
    poison: tuple[str, int] | None = None
    micro_batches: int | None = None

    def __hash__(self) -> int:
        return hash(self.key)

    @property
    def key(self) -> str:
        """Equal for equal plans."""
        return f"{self.config.id}-{hashlib.sha256(json.dumps(self.to_dict()).encode()).hexdigest()[:12]}"

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the job."""
        data = asdict(self)
        data["config"] = self.config.to_dict()
        data["resumes"] = None if self.resumes is None else self.resumes.key
        data["scaler"] = dict(self.scaler)
        return data
