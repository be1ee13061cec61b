"""What one optimizer step does to the model, and what it leaves behind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.step.data import Batches
from nanocheck.step.model import GPT
from nanocheck.step.optimizer import build_optimizer
from nanocheck.step.precision import allow_tf32, autocast, compute_dtype, grad_scaler
from nanocheck.step.run import RunOutcome, run_step
from nanocheck.step.torch_facts import cublas_workspace_bytes, refuse_on_virtual_gpu, sdpa_backend
from nanocheck.step.training import Training

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

SMALL = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4, dtype="fp32")
TOKENS = np.random.default_rng(5).integers(0, 256, size=2000)


def run(config: StepConfig, steps: int = 3, **options: Any) -> RunOutcome:
    options = {"observe": lambda phase, step: None, "tokens": TOKENS, "read_losses": True, **options}
    return run_step(config, "cpu", steps=steps, **options)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Training]:
    """The Training objects that ``run_step`` makes, to look into afterwards."""
    made: list[Training] = []
    plain = Training.__post_init__

    def remember(self: Training) -> None:
        made.append(self)
        plain(self)

    monkeypatch.setattr(Training, "__post_init__", remember)
    return made


def test_loss_decreases_on_a_text_of_one_window() -> None:
    outcome = run(SMALL, 20, tokens=TOKENS[:17])
    assert outcome.losses[-1] < outcome.losses[0] - 0.5


@settings(max_examples=15)
@given(parts=st.sampled_from([1, 2, 4]), seed=st.integers(0, 1000), bias=st.booleans())
def test_accumulated_micro_batches_equal_one_batch(parts: int, seed: int, bias: bool) -> None:
    # The generator draws the same windows for 4 x 1 as for 1 x 4, so only the order of additions
    # differs: fp32 rounds 6e-8 at a time, and Adam's division of a gradient near zero by its own size
    # magnifies that to at most 2 learning rates (1.2e-3) for single weights, which few losses notice.
    whole = run(replace(SMALL, seed=seed, bias=bias))
    split = run(
        replace(SMALL, seed=seed, bias=bias, batch=4 // parts, accumulation=parts), micro_batches=parts
    )
    np.testing.assert_allclose(split.losses, whole.losses, rtol=1e-4)
    np.testing.assert_allclose(split.grad_norms, whole.grad_norms, rtol=1e-3)


def test_the_loss_is_divided_by_the_accumulation_however_many_micro_batches_run() -> None:
    config = replace(SMALL, accumulation=32)
    two, four = run(config, 1, micro_batches=2), run(config, 1, micro_batches=4)
    # The reported loss is the mean over those that ran; the gradient is their share of 32.
    assert two.losses[0] == pytest.approx(run(SMALL, 1).losses[0], rel=0.05)
    assert two.grad_norms[0] < run(SMALL, 1).grad_norms[0] / 8
    # Gradients of unrelated windows add like random numbers: twice as many, sqrt(2) the norm.
    assert four.grad_norms[0] > 1.2 * two.grad_norms[0]


@pytest.mark.parametrize("accumulation", [1, 2, 5])
def test_the_cpu_runs_every_micro_batch(accumulation: int) -> None:
    assert run(replace(SMALL, accumulation=accumulation), 1).micro_batches == accumulation


def test_phases_are_observed_in_their_order() -> None:
    seen: list[tuple[str, int]] = []
    run(replace(SMALL, accumulation=2), 2, observe=lambda phase, step: seen.append((phase, step)))
    one = ["forward", "backward", "forward", "backward", "optimizer"]
    assert seen == [("build", 0)] + [(name, 0) for name in one] + [(name, 1) for name in one]


def test_nothing_is_read_unless_asked() -> None:
    outcome = run(SMALL, 1, read_losses=False)
    assert outcome == RunOutcome(micro_batches=1)


def test_gradients_are_gone_after_a_step_and_logits_are_not(trained: list[Training]) -> None:
    run(SMALL, 1)
    (training,) = trained
    assert all(each.grad is None for each in training.model.parameters())
    assert training.logits is not None
    assert training.logits.shape == (4, 16, 256)


@pytest.mark.parametrize("dtype", ["fp32", "tf32", "bf16", "fp16"])
def test_the_scaler_works_for_fp16_only(dtype: str) -> None:
    assert grad_scaler(replace(SMALL, dtype=dtype), "cpu").is_enabled() == (dtype == "fp16")


@pytest.mark.parametrize("dtype", ["fp32", "tf32", "bf16", "fp16"])
def test_matmuls_run_in_the_named_dtype(dtype: str) -> None:
    config = replace(SMALL, dtype=dtype)
    with autocast(config, "cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == compute_dtype(config)
    assert product.dtype == {"bf16": torch.bfloat16, "fp16": torch.float16}.get(dtype, torch.float32)


def test_tf32_is_off_for_fp32_only() -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        for dtype, allowed in (("fp32", False), ("tf32", True), ("bf16", True), ("fp16", True)):
            allow_tf32(replace(SMALL, dtype=dtype))
            assert (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


@pytest.mark.parametrize("bias", [False, True])
def test_matrices_decay_and_vectors_do_not(bias: bool) -> None:
    config = replace(SMALL, bias=bias)
    model = GPT(config)
    decaying, plain = build_optimizer(model, config).param_groups
    assert (decaying["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert {each.dim() for each in decaying["params"]} == {2}
    assert {each.dim() for each in plain["params"]} == {1}
    assert len(decaying["params"]) + len(plain["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("name", "fused", "foreach"),
    [("adamw-fused", True, None), ("adamw-foreach", None, True), ("adamw-loop", False, False)],
)
def test_the_named_implementation_is_used(name: str, fused: bool | None, foreach: bool | None) -> None:
    config = replace(SMALL, optimizer=name)
    options = build_optimizer(GPT(config), config).param_groups[0]
    assert (options["fused"], options["foreach"]) == (fused, foreach)


def test_implementations_of_adamw_agree() -> None:
    curves = [
        run(replace(SMALL, optimizer=name)).losses for name in ("adamw-fused", "adamw-foreach", "adamw-loop")
    ]
    np.testing.assert_allclose(curves[1:], [curves[0]] * 2, rtol=1e-5)


def test_targets_are_the_next_tokens() -> None:
    x, y = Batches(SMALL, "cpu", range(256)).next()
    assert x.dtype == y.dtype == torch.int64
    assert x.shape == y.shape == (4, 16)
    assert torch.equal(y, x + 1)


def test_every_window_can_be_drawn_and_none_beyond() -> None:
    config = replace(SMALL, block_size=4, batch=64)
    x, y = Batches(config, "cpu", range(8)).next()
    assert set(x[:, 0].tolist()) == {0, 1, 2, 3}
    assert y.max() == 7


def test_batches_do_not_depend_on_other_random_numbers() -> None:
    one = Batches(SMALL, "cpu")
    torch.manual_seed(3)
    two = Batches(SMALL, "cpu")
    assert torch.equal(one.next()[0], two.next()[0])
    assert one.next()[0].max() < 256


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (range(16), "at least block_size"),
        ([[1, 2], [3, 4]], "one dimension"),
        ([300] * 17, "from 0 to 255"),
        ([-1] * 17, "from 0 to 255"),
    ],
)
def test_unusable_tokens_are_refused(tokens: Any, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        Batches(SMALL, "cpu", tokens)


@pytest.mark.parametrize("options", [{"steps": 0}, {"micro_batches": 0}])
def test_a_run_of_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(RequestError, match="at least 1 step"):
        run(SMALL, **options)


def test_a_loss_is_never_read_from_a_virtual_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NANOCHECK_CARD", "rtx4070")
    with pytest.raises(RequestError, match="computes nothing"):
        run_step(SMALL, "cuda", observe=lambda phase, step: None, read_losses=True)
    refuse_on_virtual_gpu("cpu")
    monkeypatch.delenv("NANOCHECK_CARD")
    refuse_on_virtual_gpu("cuda")


def test_facts_on_the_cpu() -> None:
    assert sdpa_backend(SMALL, "cpu") in {"flash", "math"}
    assert cublas_workspace_bytes() is None
