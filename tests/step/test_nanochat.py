"""nanochat's two releases: sizes, formulas, windows, optimizers, and that they learn. All on the CPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nanochat_formulas
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.step.cycle import prepare_checkpoint
from nanocheck.step.nanochat import muon_2025, muon_2026
from nanocheck.step.nanochat.release_2025 import Nanochat2025
from nanocheck.step.nanochat.release_2026 import Nanochat2026
from nanocheck.step.nanochat.schedule import prepare_update
from nanocheck.step.nanochat.training import NanochatTraining
from nanocheck.step.nanochat.windows import attention, window_lengths
from nanocheck.step.recipes import recipe_of
from nanocheck.step.run import RunOutcome, run_step
from nanocheck.step.torch_facts import sdpa_backend

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

RELEASES = ("nanochat-2025", "nanochat-2026")
ONE_WINDOW = np.random.default_rng(5).integers(0, 64, size=17).tolist()


def small(model: str, **fields: Any) -> StepConfig:
    sizes = {"n_layer": 3, "n_head": 2, "n_embd": 32, "block_size": 16, "vocab_size": 64, "batch": 4}
    return StepConfig.from_dict({"model": model, **sizes, "dtype": "fp32", **fields})


def quiet(phase: str, step: int) -> None:
    pass


def run(config: StepConfig, **options: Any) -> RunOutcome:
    return run_step(config, "cpu", observe=quiet, tokens=ONE_WINDOW, read_losses=True, **options)


def built(config: StepConfig) -> Nanochat2025 | Nanochat2026:
    model, _ = recipe_of(config).build(config, "cpu", None, quiet)
    assert isinstance(model, Nanochat2025 | Nanochat2026)
    return model


def randomised(config: StepConfig) -> Nanochat2025 | Nanochat2026:
    """Nothing is zero any more: with a fresh model's zero projections every attention is right."""
    model = built(config)
    draws = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.empty_like(weight).normal_(0.0, 0.1, generator=draws))
    return model


@pytest.mark.parametrize("release", RELEASES)
@given(
    depth=st.integers(1, 5), heads=st.integers(1, 3), half=st.integers(6, 10), vocabulary=st.integers(2, 70)
)
@settings(max_examples=20)
def test_parameters_are_as_many_as_the_formula_says(
    release: str, depth: int, heads: int, half: int, vocabulary: int
) -> None:
    width = 4 * half * heads
    config = small(release, n_layer=depth, n_head=heads, n_embd=width, vocab_size=vocabulary)
    model = recipe_of(config).blank(config)
    assert sum(each.numel() for each in model.parameters()) == config.parameters


@pytest.mark.parametrize(
    ("release", "depth", "count"),
    # As base_train.py of the two commits prints them.
    [
        ("nanochat-2025", 20, 560_988_160),
        ("nanochat-2026", 12, 286_261_730),
        ("nanochat-2026", 8, 125_829_354),
    ],
)
def test_published_sizes(release: str, depth: int, count: int) -> None:
    config = StepConfig.from_dict({"model": release, "n_layer": depth})
    with torch.device("meta"):
        model = Nanochat2025(config) if release == "nanochat-2025" else Nanochat2026(config)
    assert sum(each.numel() for each in model.parameters()) == count


@pytest.mark.parametrize("sizes", [{"n_embd": 16, "n_head": 1}, {"block_size": 1}])
def test_what_the_smear_gate_cannot_read_is_refused(sizes: dict[str, int]) -> None:
    small("nanochat-2025", **sizes)
    with pytest.raises(RequestError, match="smear gate"):
        small("nanochat-2026", **sizes)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_forward_is_what_the_formulas_say(release: str, depth: int) -> None:
    """150 tokens: more than the short window of 128."""
    window = {"window": "SSL"} if release == "nanochat-2026" else {}
    config = small(release, n_layer=depth, block_size=150, **window)
    model = randomised(config)
    draws = torch.Generator().manual_seed(2)
    idx, targets = (torch.randint(64, (2, 150), generator=draws) for _ in range(2))
    weights = dict(model.named_parameters())
    expected = nanochat_formulas.loss(config, weights, idx, targets)
    torch.testing.assert_close(model(idx, targets), expected, rtol=1e-5, atol=1e-6)
    gradients = torch.autograd.grad(model(idx, targets), list(weights.values()))
    others = torch.autograd.grad(expected, list(weights.values()))
    for name, one, other in zip(weights, gradients, others, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6, msg=name)


@pytest.mark.parametrize("release", RELEASES)
def test_losses_by_token_have_the_mean_loss_as_their_mean(release: str) -> None:
    config = small(release)
    model = randomised(config)
    idx = torch.arange(64).view(4, 16)
    each = model(idx, idx.flip(1), reduction="none")
    assert each.shape == (64,)
    torch.testing.assert_close(each.mean(), model(idx, idx.flip(1)))


def test_windows_are_a_quarter_in_tiles_and_the_last_is_full() -> None:
    config = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 8})
    assert window_lengths(config) == [512, 512, 512, 2048] * 2
    assert window_lengths(replace(config, n_layer=6))[3:] == [2048, 512, 2048]
    assert window_lengths(replace(config, window="L")) == [2048] * 8
    assert window_lengths(replace(config, block_size=2500))[0] == 640


@given(window=st.integers(0, 12), length=st.integers(1, 12))
@settings(max_examples=30)
def test_a_window_sees_itself_and_so_many_before(window: int, length: int) -> None:
    """Values are one-hot, so that an output shows which tokens were looked at."""
    q, k = torch.zeros(2, 1, length, 1, 4)
    v = torch.eye(length).view(1, length, 1, length)
    seen = attention(q, k, v, window)[0, :, 0] > 0
    for row in range(length):
        assert seen[row].nonzero().flatten().tolist() == list(range(max(0, row - window), row + 1))


def test_two_windows_ask_for_attention_twice() -> None:
    config = small("nanochat-2026", block_size=256, window="SL")
    assert set(sdpa_backend(config, "cpu").split("+")) <= {"flash", "math"}


@pytest.mark.parametrize("shape", [(24, 24), (12, 48), (48, 12)])
def test_muon_makes_matrices_nearly_orthogonal(shape: tuple[int, int]) -> None:
    draws = torch.Generator().manual_seed(3)
    u, v = (torch.linalg.qr(torch.empty(side, side).normal_(generator=draws))[0] for side in shape)
    count = min(shape)
    u, v = u[:, :count], v[:, :count]
    gradient = u @ torch.diag(torch.logspace(2, 0.5, count)) @ v.mT
    old = muon_2025.orthogonalised(gradient, muon_2025.ITERATIONS).float()
    new = muon_2026.orthogonalised(gradient.unsqueeze(0))[0]
    for found, low, high in ((old, 0.5, 1.35), (new, 0.85, 1.2)):
        values = torch.linalg.svdvals(found)
        assert low < values.min()
        assert values.max() < high
        # The directions are the gradient's: the rotated matrix is diagonal.
        turned = u.mT @ found @ v
        torch.testing.assert_close(turned, torch.diag(turned.diagonal()), rtol=0, atol=0.06)


@pytest.mark.parametrize("rows", [4, 12])
def test_muon_moves_against_the_gradient(rows: int) -> None:
    grads = torch.empty(2, rows, 8).normal_(generator=torch.Generator().manual_seed(4))
    params, moment, variance = torch.zeros(3, 2, rows, 8)
    variance = variance.mean(-1 if rows >= 8 else -2, keepdim=True)
    momentum, rate, decay, beta2 = torch.tensor([0.95, 0.02, 0.0, 0.9])
    axis = -1 if rows >= 8 else -2
    muon_2026.muon_update(grads.clone(), params, moment, variance, momentum, rate, decay, beta2, axis, False)
    assert (params * grads).sum(dim=(1, 2)).max() < 0


def test_rates_warm_up_and_a_checkpoint_knows_how_far() -> None:
    config = small("nanochat-2026")
    groups: list[dict[str, Any]] = [{"lr": 0.5, "momentum": 0.0}]
    rates = []
    for _ in range(41):
        prepare_update(groups, config)
        rates.append(groups[0]["lr"])
    assert rates[:2] == pytest.approx([0.5 / 40, 1 / 40])
    assert rates[39:] == [0.5, 0.5]
    assert groups[0]["updates"] == 41
    assert groups[0]["momentum"] == pytest.approx(0.85 + 0.12 * 40 / 400)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(("optimizer", "steps", "falls"), [("muon", 25, 3.5), ("adamw-fused", 60, 1.3)])
def test_it_overfits_one_batch(release: str, optimizer: str, steps: int, falls: float) -> None:
    losses = run(small(release, optimizer=optimizer), steps=steps).losses
    # A fresh head is zero, or nearly: every token is as likely as any other.
    assert losses[0] == pytest.approx(np.log(64), abs=0.01)
    assert losses[-1] < losses[0] - falls


@pytest.mark.parametrize("release", RELEASES)
def test_bf16_learns_like_fp32(release: str) -> None:
    wide, narrow = (run(small(release, dtype=dtype), steps=6).losses for dtype in ("fp32", "bf16"))
    assert narrow != wide
    assert narrow == pytest.approx(wide, rel=0.05)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("accumulation", [2, 4])
def test_accumulation_is_a_larger_batch(release: str, accumulation: int) -> None:
    plain, parts = (run(small(release, accumulation=each), steps=4).losses for each in (1, accumulation))
    assert parts == pytest.approx(plain, rel=1e-3)


def test_only_the_older_release_clips(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def clip(parameters: Any, limit: float) -> torch.Tensor:
        limits.append(limit)
        return original(parameters, limit)

    original = torch.nn.utils.clip_grad_norm_
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", clip)
    for release in RELEASES:
        run_step(small(release), "cpu", observe=quiet, steps=1)
    assert limits == [1.0]


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("optimizer", ["muon", "adamw-fused"])
def test_resuming_equals_never_having_stopped(release: str, optimizer: str, tmp_path: Path) -> None:
    config = small(release, optimizer=optimizer, dtype="bf16")
    whole = run(config, steps=4)
    first = run(replace(config, cycle="full"), steps=2, workdir=tmp_path)
    second = run(replace(config, cycle="resume"), steps=2, checkpoint=tmp_path / "checkpoint.pt")
    assert first.losses + second.losses == whole.losses


@pytest.mark.parametrize("release", RELEASES)
def test_a_prepared_checkpoint_has_the_shapes_of_a_saved_one(release: str, tmp_path: Path) -> None:
    def shapes(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value.shape, value.dtype
        if isinstance(value, dict):
            return {
                key: shapes(each)
                for key, each in value.items()
                if key not in ("step", "config", "param_groups")
            }
        return [shapes(each) for each in value] if isinstance(value, list) else type(value)

    config = small(release, dtype="bf16")
    prepare_checkpoint(config, tmp_path / "blank.pt")
    run(replace(config, cycle="full"), steps=1, workdir=tmp_path)
    blank, saved = (torch.load(tmp_path / name) for name in ("blank.pt", "checkpoint.pt"))
    assert shapes(blank) == shapes({name: saved[name] for name in blank})
    assert saved.keys() - blank.keys() == {"batches", "scaler"}  # a run of zeros goes on with nothing


def test_evaluation_is_the_mean_loss_by_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: list[dict[str, float]] = []
    original = NanochatTraining.evaluate

    def evaluate(self: NanochatTraining, count: int) -> dict[str, float]:
        found.append(original(self, count))
        return found[-1]

    monkeypatch.setattr(NanochatTraining, "evaluate", evaluate)
    for release in RELEASES:
        losses = run(small(release, cycle="full"), steps=1, workdir=tmp_path).losses
        before, after = found[-2:]
        assert before["val"] == pytest.approx(losses[0], rel=1e-5)
        assert after["val"] < before["val"]
