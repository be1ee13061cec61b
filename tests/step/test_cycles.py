"""Evaluation, saving and resuming: what they compute, what they keep, and what a crash leaves."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.step.cycle import prepare_checkpoint, read_checkpoint, write_checkpoint
from nanocheck.step.model import GPT, initialise
from nanocheck.step.run import run_step
from nanocheck.step.sampling import sample
from nanocheck.step.training import Training

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

SMALL = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4, dtype="fp32")
#: One window: every batch is the same.
ONE_WINDOW = np.random.default_rng(5).integers(0, 256, size=17)
MANY = np.random.default_rng(6).integers(0, 256, size=2000)


def quiet(phase: str, step: int) -> None:
    pass


@pytest.mark.parametrize("optimizer", ["adamw-fused", "adamw-foreach", "adamw-loop"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_resuming_equals_never_having_stopped(dtype: str, optimizer: str, tmp_path: Path) -> None:
    config = replace(SMALL, dtype=dtype, optimizer=optimizer)
    options: dict[str, Any] = {"observe": quiet, "tokens": ONE_WINDOW, "read_losses": True}
    whole = run_step(config, "cpu", steps=6, **options)
    first = run_step(replace(config, cycle="full"), "cpu", steps=3, workdir=tmp_path, **options)
    second = run_step(
        replace(config, cycle="resume"), "cpu", steps=3, checkpoint=tmp_path / "checkpoint.pt", **options
    )
    assert first.losses + second.losses == whole.losses
    assert first.grad_norms + second.grad_norms == whole.grad_norms


@pytest.mark.parametrize("model", ["gpt2", "nanochat-2025", "nanochat-2026", "autoresearch"])
def test_a_resumed_run_goes_on_with_the_next_batch(model: str, tmp_path: Path) -> None:
    config = replace(SMALL, model=model) if model == "gpt2" else _nanochat(model)
    options: dict[str, Any] = {"observe": quiet, "tokens": MANY, "read_losses": True}
    whole = run_step(config, "cpu", steps=4, save_after=2, workdir=tmp_path, **options)
    half = replace(config, cycle="resume")
    second = run_step(half, "cpu", steps=2, checkpoint=tmp_path / "checkpoint.pt", **options)
    assert second.losses == whole.losses[2:]


def _nanochat(model: str) -> StepConfig:
    sizes = {"n_layer": 2, "n_head": 1, "n_embd": 128, "block_size": 16, "vocab_size": 256, "batch": 4}
    return StepConfig(model=model, dtype="bf16", optimizer="muon", **sizes)


def test_the_whole_cycle_samples_known_tokens_before_it_saves(tmp_path: Path) -> None:
    seen: list[str] = []
    config = replace(SMALL, cycle="whole")
    run_step(config, "cpu", observe=lambda phase, _: seen.append(phase), steps=1, workdir=tmp_path)
    assert seen[-4:] == ["optimizer", "evaluation", "sample", "checkpoint"]
    with pytest.raises(RequestError, match="sampling of nanochat-2026"):
        replace(_nanochat("nanochat-2026"), cycle="whole")


def test_sampling_follows_the_logits_and_leaves_the_model_in_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[Training] = []
    plain = Training.__post_init__
    monkeypatch.setattr(Training, "__post_init__", lambda self: (made.append(self), plain(self))[1])
    run_step(SMALL, "cpu", observe=quiet, steps=1, tokens=ONE_WINDOW)
    (training,) = made
    only = torch.zeros(SMALL.vocab_size)
    only[42] = 1e4
    monkeypatch.setattr(training.model, "next_logits", lambda idx: only.expand(len(idx), 1, -1).clone())
    found = sample(training, 0, new_tokens=5)
    assert found.shape == (1, SMALL.block_size + 5)
    assert found[0, -5:].tolist() == [42] * 5
    assert training.model.training


def test_the_logits_to_sample_from_are_those_of_the_last_position() -> None:
    model = GPT(SMALL)
    initialise(model, SMALL)
    idx = torch.from_numpy(MANY[:16]).view(1, 16)
    logits, _ = model(idx, idx)
    assert torch.allclose(model.next_logits(idx)[:, 0], logits[:, -1], atol=1e-6)


def test_the_full_cycle_observes_its_phases(tmp_path: Path) -> None:
    seen: list[tuple[str, int]] = []
    config = replace(SMALL, cycle="full")
    run_step(config, "cpu", observe=lambda *each: seen.append(each), steps=1, workdir=tmp_path)
    assert seen == [
        ("build", 0),
        ("evaluation", 0),
        ("forward", 0),
        ("backward", 0),
        ("optimizer", 0),
        ("evaluation", 1),
        ("checkpoint", 1),
    ]


def test_resuming_observes_its_phases() -> None:
    seen: list[tuple[str, int]] = []
    run_step(replace(SMALL, cycle="resume"), "cpu", observe=lambda *each: seen.append(each), steps=1)
    assert [phase for phase, _ in seen] == ["resume", "build", "resume", "forward", "backward", "optimizer"]


def test_evaluation_leaves_model_and_gradients_alone(tmp_path: Path) -> None:
    # One window only: evaluation draws from the same data as training, and must not shift it here.
    options: dict[str, Any] = {"observe": quiet, "tokens": ONE_WINDOW, "read_losses": True, "steps": 4}
    plain = run_step(SMALL, "cpu", **options)
    evaluated = run_step(replace(SMALL, cycle="full"), "cpu", workdir=tmp_path, **options)
    assert evaluated.losses == plain.losses


def test_logits_and_resumed_weights_stay_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bool] = []

    def observe(phase: str, step: int) -> None:
        if phase == "optimizer":
            (training,) = made
            assert training.resumed_weights is not None
            weights = {id(each.untyped_storage()) for each in training.model.parameters()}
            kept = {id(each.untyped_storage()) for each in training.resumed_weights.values()}
            held.append(weights.isdisjoint(kept))

    made: list[Training] = []
    plain = Training.__post_init__
    monkeypatch.setattr(Training, "__post_init__", lambda self: (made.append(self), plain(self))[1])
    run_step(replace(SMALL, cycle="resume"), "cpu", observe=observe, steps=2)
    assert held == [True, True]


def test_a_checkpoint_holds_what_nanogpt_saves_and_what_resuming_needs(tmp_path: Path) -> None:
    config = replace(SMALL, cycle="full", bias=True)
    run_step(config, "cpu", observe=quiet, steps=2, workdir=tmp_path)
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert set(checkpoint) == {"model", "optimizer", "iter_num", "config", "batches", "scaler"}
    assert checkpoint["iter_num"] == 2
    assert checkpoint["config"] == config.to_dict()
    assert all(state["step"] == 2 for state in checkpoint["optimizer"]["state"].values())
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_a_prepared_checkpoint_looks_like_a_saved_one(tmp_path: Path) -> None:
    run_step(replace(SMALL, cycle="full"), "cpu", observe=quiet, steps=1, workdir=tmp_path)
    prepare_checkpoint(SMALL, tmp_path / "prepared.pt")

    def shape(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.dtype, tuple(value.shape)
        if isinstance(value, dict):
            return {name: shape(each) for name, each in value.items()}
        return [shape(each) for each in value] if isinstance(value, list) else type(value)

    saved, prepared = (
        torch.load(tmp_path / name, weights_only=True) for name in ("checkpoint.pt", "prepared.pt")
    )
    assert {"batches", "scaler"} == saved.keys() - prepared.keys()  # a run of zeros goes on with nothing
    assert shape({name: saved[name] for name in prepared}) == shape(prepared)
    assert {float(state["step"]) for state in prepared["optimizer"]["state"].values()} == {1000.0}
    tied = (prepared["model"][name].data_ptr() for name in ("lm_head.weight", "transformer.wte.weight"))
    assert len(set(tied)) == 1


def test_a_prepared_checkpoint_takes_no_room(tmp_path: Path) -> None:
    path = tmp_path / "prepared.pt"
    prepare_checkpoint(replace(SMALL, vocab_size=1 << 20), path)
    assert path.stat().st_size > 3 * 4 * 32 << 20
    assert path.stat().st_blocks * 512 < 1 << 20


def test_losses_are_not_read_after_resuming_from_zeros() -> None:
    with pytest.raises(RequestError, match="no real checkpoint"):
        run_step(replace(SMALL, cycle="resume"), "cpu", observe=quiet, read_losses=True)


KILLED = """
import io, os, signal, sys, torch
from pathlib import Path
from nanocheck.step.cycle import write_checkpoint
path = Path(sys.argv[1])
write_checkpoint({"iter_num": 1}, path)
real = torch.save
def dies_in_the_middle(value, stream):
    buffer = io.BytesIO()
    real(value, buffer)
    stream.write(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
torch.save = dies_in_the_middle
write_checkpoint({"iter_num": 2}, path)
"""


def test_a_kill_in_the_middle_of_saving_leaves_the_old_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    died = subprocess.run([sys.executable, "-c", KILLED, path], check=False, timeout=120)
    assert died.returncode == -signal.SIGKILL
    assert torch.load(path, weights_only=True) == {"iter_num": 1}


def test_a_failed_save_leaves_the_old_checkpoint_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    write_checkpoint({"iter_num": 1}, path)
    with pytest.raises(Exception, match="pickle"):
        write_checkpoint({"iter_num": lambda: None}, path)
    assert torch.load(path, weights_only=True) == {"iter_num": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    prepare_checkpoint(SMALL, tmp_path / "other.pt")
    with pytest.raises(StoredDataError, match="expected n_layer 3, found 2"):
        read_checkpoint(replace(SMALL, n_layer=3), tmp_path / "other.pt", "cpu")


def test_a_missing_or_cut_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pt"
    with pytest.raises(RequestError, match="found none"):
        read_checkpoint(SMALL, path, "cpu")
    prepare_checkpoint(SMALL, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoredDataError, match="damaged"):
        read_checkpoint(SMALL, path, "cpu")


@pytest.mark.parametrize("cycle", ["train", "full", "whole", "resume"])
def test_the_step_says_which_phase_it_is_in(cycle: str, tmp_path: Path) -> None:
    """Whatever ends had begun, and nothing else had begun since: an out-of-memory is named by it."""
    events: list[tuple[str, str, int]] = []
    run_step(
        replace(SMALL, cycle=cycle, accumulation=2),
        "cpu",
        enter=lambda *at: events.append(("enter", *at)),
        observe=lambda *at: events.append(("end", *at)),
        steps=2,
        workdir=tmp_path,
    )
    entered = ("", 0)
    for what, *at in events:
        if what == "enter":
            entered = (at[0], at[1])
        else:
            assert (at[0], at[1]) == entered or (cycle == "resume" and at[0] in ("build", "resume")), events
    assert {phase for what, phase, _ in events if what == "enter"} == {
        phase for what, phase, _ in events if what == "end"
    }
