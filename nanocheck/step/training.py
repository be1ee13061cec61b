"""The loop of nanoGPT's ``train.py``: the same operations in the same order, the same names kept alive."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from nanocheck.core.config import StepConfig
from nanocheck.core.methods import clips
from nanocheck.step.data import Batches
from nanocheck.step.methods.in_backward import UpdateInBackward
from nanocheck.step.precision import autocast
from nanocheck.step.repetition import Repetition

GRAD_CLIP = 1.0


class Watch:
    """Looks at a run of real arithmetic; every call may wait for the device. Does nothing itself."""

    def micro_batch(self, training: Training) -> None:
        """After a backward."""

    def before_update(self, training: Training) -> None:
        """Gradients are complete, scaled where there is a scaler."""

    def after_update(self, training: Training) -> None:
        """The parameters have changed, the gradients are gone."""

    def evaluating(self, training: Training) -> None:
        """The network is ready to be evaluated."""

    def saved(self, training: Training, means: dict[str, float]) -> None:
        """A checkpoint was written, after an evaluation with these means."""


#: Called at the beginning or at the end of a phase with its name and the optimizer step, counted from 0.
Observe = Callable[[str, int], None]


def ignore(phase: str, step: int) -> None:
    """Nobody asked."""


@dataclass(eq=False)
class Training:
    """State of a run: what nanoGPT keeps in module-level names, kept alive just as long here.

    ``x``, ``y``, ``logits`` and ``loss`` are bound again and never deleted: the logits of the last
    forward stay allocated until the next forward has returned its own, evaluation included.
    """

    #: Whether the original evaluates before its first step, too.
    evaluates_first: ClassVar[bool] = True
    #: Whether the last micro-batch of a step does what the others do not, and so stands for none of them.
    last_differs: ClassVar[bool] = False

    config: StepConfig
    model: nn.Module
    network: nn.Module  # the model, or torch.compile's wrapper of it
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    batches: Batches
    device_type: str
    observe: Observe
    micro_batches: int
    enter: Observe = ignore
    read_losses: bool = False
    watch: Watch | None = None
    skip_repetitions: bool = False
    most_run: int = 0  # micro-batches that the longest step so far really ran
    losses: list[float] = field(default_factory=list)
    grad_norms: list[float] = field(default_factory=list)
    logits: Tensor | None = None
    loss: Tensor | None = None
    #: nanoGPT binds ``state_dict = checkpoint["model"]`` when it resumes and never lets it go.
    resumed_weights: dict[str, Tensor] | None = None

    def __post_init__(self) -> None:
        self.autocast = autocast(self.config, self.device_type)
        self.x, self.y = self.batches.next()

    def watch_losses(self, read_losses: bool, watch: Watch | None) -> None:
        """Read loss and gradient norm of every step, and show every step to ``watch``."""
        self.read_losses, self.watch = read_losses, watch
        if isinstance(self.optimizer, UpdateInBackward):
            self.optimizer.keep_norm = read_losses

    def step(self, index: int) -> None:
        """One optimizer step over ``micro_batches`` micro-batches; ``index`` counts from 0.

        On a GPU, micro-batches that would only repeat what the allocator has been through are left
        out, unless losses are read: see ``Repetition``.
        """
        total = 0.0
        done = ran = 0
        repetition = Repetition() if self.skip_repetitions else None
        while done < self.micro_batches:
            done, ran = done + 1, ran + 1
            self.before_micro_batch(last=done == self.micro_batches)
            self.micro_batch(index)
            if self.watch is not None:
                self.watch.micro_batch(self)
            if self.read_losses:
                assert self.loss is not None
                total += self.loss.item()
            if repetition is not None:
                done += repetition.skippable(done, self.micro_batches - self.last_differs)
        self.most_run = max(self.most_run, ran)
        self.enter("optimizer", index)
        if self.watch is not None:
            self.watch.before_update(self)
        self.update()
        if self.watch is not None:
            self.watch.after_update(self)
        self.observe("optimizer", index)
        if self.read_losses:
            self.losses.append(total * self.config.accumulation / self.micro_batches)

    def before_micro_batch(self, *, last: bool) -> None:
        """A micro-batch of a step follows, perhaps its last."""

    def micro_batch(self, index: int) -> None:
        """Forward, next batch, backward; ``loss`` is afterwards the micro-batch's part of the step's."""
        self.enter("forward", index)
        with self.autocast:
            self.logits, self.loss = self.network(self.x, self.y)
            self.loss = self.loss / self.config.accumulation
        self.observe("forward", index)
        # nanoGPT fetches the next batch here, while the GPU is busy with the forward.
        self.x, self.y = self.batches.next()
        self.enter("backward", index)
        self.scaler.scale(self.loss).backward()
        self.observe("backward", index)

    def update(self) -> None:
        """Clip, change the parameters, drop the gradients."""
        self.scaler.unscale_(self.optimizer)
        self.clip()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    def clip(self) -> None:
        """Scale the gradients to a norm of at most ``GRAD_CLIP``, where they are still there."""
        if isinstance(self.optimizer, UpdateInBackward):
            if self.read_losses:
                self.grad_norms.append(self.optimizer.take_norm())
            return
        if not clips(self.config) and not self.read_losses:
            return
        limit = GRAD_CLIP if clips(self.config) else math.inf
        # The norm is not bound to a name unless it is read: nanoGPT drops it at once.
        if self.read_losses:
            self.grad_norms.append(nn.utils.clip_grad_norm_(self.network.parameters(), limit).item())
        else:
            nn.utils.clip_grad_norm_(self.network.parameters(), limit)

    def evaluate(self, eval_batches: int) -> dict[str, float]:
        """Mean loss in nats by split, over ``eval_batches`` batches each: nanoGPT's ``estimate_loss``."""
        means = {}
        for split in ("train", "val"):
            losses = torch.zeros(eval_batches)
            for k in range(eval_batches):
                x, y = self.batches.next(split)
                with self.autocast:
                    # Both names live until the next forward has returned, as in estimate_loss.
                    logits, loss = self.network(x, y)  # noqa: RUF059
                losses[k] = loss.item()
            means[split] = losses.mean().item()
        return means
