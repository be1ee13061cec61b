"""Run one configuration of the reference training step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.process.scratch import Scratch
from nanocheck.step.cycle import evaluate, prepare_checkpoint, read_checkpoint, save_checkpoint
from nanocheck.step.methods.budget import set_memory_budget
from nanocheck.step.methods.checkpointing import checkpoint_blocks
from nanocheck.step.methods.weights import build_with_adapters
from nanocheck.step.precision import allow_tf32, grad_scaler
from nanocheck.step.recipe import Recipe
from nanocheck.step.recipes import recipe_of
from nanocheck.step.sampling import sample
from nanocheck.step.torch_facts import (
    computes_nothing,
    cublas_workspace_bytes,
    refuse_on_virtual_gpu,
    sdpa_backend,
)
from nanocheck.step.training import Observe, Training, Watch, ignore

__all__ = ["RunOutcome", "cublas_workspace_bytes", "run_step", "sdpa_backend"]


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """What a run leaves behind.

    Attributes:
        micro_batches: micro-batches that the longest step really ran.
        losses: per step, the mean cross entropy in nats over the micro-batches that
            ran; empty unless ``read_losses``.
        grad_norms: per step, the total norm before clipping; empty unless ``read_losses``.
    """

    micro_batches: int
    losses: tuple[float, ...] = ()
    grad_norms: tuple[float, ...] = ()


def run_step(
    config: StepConfig,
    device: str,
    *,
    observe: Observe,
    enter: Observe = ignore,
    steps: int = 3,
    enough: Callable[[], bool] = lambda: False,
    micro_batches: int | None = None,
    tokens: Sequence[int] | None = None,
    workdir: Path | None = None,
    checkpoint: Path | None = None,
    read_losses: bool = False,
    skip_repetitions: bool = True,
    watch: Watch | None = None,
    save_after: int | None = None,
    scaler: Mapping[str, Any] | None = None,
) -> RunOutcome:
    """Build the model, run ``steps`` optimizer steps and the rest of ``config.cycle``.

    Args:
        config: what to run.
        device: ``cpu`` or ``cuda``.
        observe: called as ``observe(phase, step)`` at the end of every phase (build, resume,
            evaluation, forward, backward, optimizer, sample, checkpoint), once per micro-batch for forward
            and backward, and more than once for build and resume; it must not allocate on the device.
        enter: called as ``enter(phase, step)`` at the beginning of every phase: what runs out of memory then
            ran out in it.
        steps: optimizer steps, at most.
        enough: asked after each of them; True leaves out those that are left.
        micro_batches: micro-batches per step, by default ``config.accumulation``, by which the loss
            is divided in any case.
        skip_repetitions: on a GPU, leave out micro-batches that cannot change memory any more;
            see ``nanocheck.step.repetition``. Never while losses are read.
        tokens: token ids to train on; random ones when not given.
        workdir: where the checkpoint is written; a temporary folder when not given.
        checkpoint: for the cycle ``resume``, the file to resume from; one of zeros when not given, which
            serves to measure memory.
        read_losses: read loss and gradient norm of every step, which waits for the device.
        watch: looks at every step, which waits for the device.
        save_after: evaluate and write ``workdir / "checkpoint.pt"`` after so many steps, then go on.
        scaler: options of the loss scaler, see ``precision.grad_scaler``.

    Raises:
        RequestError: the request makes no sense, such as losses of a virtual GPU.
        StoredDataError: the checkpoint belongs to another model.
        MachineError: several ranks were asked for, and the device is not virtual.
    """
    if steps < 1 or (micro_batches is not None and micro_batches < 1):
        raise RequestError(
            f"expected at least 1 step of 1 micro-batch, found {steps} steps of {micro_batches} micro-batches"
        )
    if read_losses or watch is not None:
        refuse_on_virtual_gpu(device)
        if config.cycle == "resume" and checkpoint is None:
            raise RequestError(
                "losses were asked of a run that resumes from no real checkpoint, only from zeros",
                hint="pass checkpoint=, the file of a run of the cycle full",
            )
    with ExitStack() as stack:
        if config.ranks > 1:
            from nanocheck.step.sharding.group import (
                rank_of_several,  # not for everyone: it imports torch.distributed
            )

            stack.enter_context(rank_of_several(config, device))
        if workdir is None and config.cycle != "train":
            workdir = stack.enter_context(Scratch("step"))
        if config.cycle == "resume" and checkpoint is None:
            assert workdir is not None
            checkpoint = workdir / "resume.pt"
            prepare_checkpoint(config, checkpoint)
        asked = micro_batches or config.accumulation
        training = _build(config, device, observe, enter, asked, tokens, checkpoint, scaler or {})
        training.watch_losses(read_losses, watch)
        training.skip_repetitions = skip_repetitions and not read_losses and training.device_type == "cuda"
        if config.cycle in ("full", "whole") and training.evaluates_first:
            evaluate(training, 0)
        done = 0
        for index in range(steps):
            training.step(index)
            done = index + 1
            if done == save_after:
                assert workdir is not None, "save_after needs workdir"
                means = evaluate(training, save_after)
                save_checkpoint(training, workdir / "checkpoint.pt", save_after)
                if watch is not None:
                    watch.saved(training, means)
            if enough():
                break
        if config.cycle in ("full", "whole"):
            assert workdir is not None
            evaluate(training, done)
            if config.cycle == "whole":
                sample(training, done)
            save_checkpoint(training, workdir / "checkpoint.pt", done)
    return RunOutcome(
        micro_batches=training.most_run,
        losses=tuple(training.losses),
        grad_norms=tuple(training.grad_norms),
    )


def _build(
    config: StepConfig,
    device: str,
    observe: Observe,
    enter: Observe,
    micro_batches: int,
    tokens: Sequence[int] | None,
    checkpoint: Path | None,
    scaler_options: Mapping[str, Any],
) -> Training:
    """Everything before the first iteration, in the order of the model's original."""
    enter("build", 0)
    device_type = torch.device(device).type
    allow_tf32(config)
    recipe = recipe_of(config)
    batches = recipe.batches(config, device, tokens)
    load = None
    if config.cycle == "resume" and checkpoint is not None:
        load = partial(_load, config, checkpoint, device, enter)
    if config.weights == "nf4-lora":
        base = _frozen_base(recipe, config, device)
        model, loaded = build_with_adapters(base, config, device, load)
    else:
        model, loaded = recipe.build(config, device, load, observe)
    checkpoint_blocks(model, config.checkpointing)
    if config.compile != "off":
        set_memory_budget(config)
    scaler = grad_scaler(config, device_type, **scaler_options)
    optimizer = recipe.optimizer(model, config)
    observe("build", 0)
    resumed_weights = None
    if loaded is not None:
        enter("resume", 0)
        optimizer.load_state_dict(loaded["optimizer"])
        resumed_weights = recipe.resumed_weights(loaded)
        if "batches" in loaded:  # one of zeros has none
            batches.restore(loaded["batches"])
            if scaler.is_enabled() and loaded["scaler"]:
                scaler.load_state_dict(loaded["scaler"])
        loaded = None
        observe("resume", 0)
    return recipe.training(
        config=config,
        model=model,
        network=recipe.network(model, config),
        optimizer=optimizer,
        scaler=scaler,
        batches=batches,
        device_type=device_type,
        observe=observe,
        enter=enter,
        micro_batches=micro_batches,
        resumed_weights=resumed_weights,
    )


def _load(config: StepConfig, checkpoint: Path, device: str, enter: Observe) -> dict[str, Any]:
    """The checkpoint, in the middle of the build."""
    enter("resume", 0)
    loaded = read_checkpoint(config, checkpoint, device)
    enter("build", 0)
    return loaded


def _frozen_base(recipe: Recipe, config: StepConfig, device: str) -> nn.Module:
    """The model on the host, where its weights are read before they are quantised on the device."""
    if computes_nothing(device):
        # No value will be looked at: do not draw billions of them.
        return recipe.blank(config)
    return recipe.build(replace(config, weights="fp32"), "cpu", None, lambda phase, step: None)[0]
