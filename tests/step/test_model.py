"""The model is GPT-2: its size, its first loss, its tied head, and nothing of the future in its past."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.step.model import GPT, initialise

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

SMALL = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4, dtype="fp32")

small_configs = st.builds(
    lambda heads, width, **rest: replace(SMALL, n_head=heads, n_embd=heads * width, **rest),
    heads=st.integers(1, 4),
    width=st.integers(1, 16),
    n_layer=st.integers(1, 3),
    block_size=st.integers(1, 33),
    vocab_size=st.integers(2, 300),
    bias=st.booleans(),
    seed=st.integers(0, 2**32),
)


def built(config: StepConfig) -> GPT:
    model = GPT(config)
    initialise(model, config)
    return model


@given(small_configs)
def test_parameter_count_is_the_configuration_s(config: StepConfig) -> None:
    assert sum(each.numel() for each in GPT(config).parameters()) == config.parameters


def test_gpt2_124m_has_nanogpt_s_published_size() -> None:
    # nanoGPT prints 123.59M for GPT-2 without biases, the 786,432 positions not counted.
    config = StepConfig()
    assert sum(each.numel() for each in GPT(config).parameters()) - 1024 * 768 == 123_587_328


def test_head_and_embedding_are_one_tensor_after_moving() -> None:
    model = GPT(SMALL).to("cpu")
    assert model.lm_head.weight is model.transformer["wte"].weight
    assert "lm_head.weight" in model.state_dict()


@settings(max_examples=25)
@given(small_configs)
def test_forward_keeps_shapes_and_is_finite(config: StepConfig) -> None:
    idx = torch.zeros((2, config.block_size), dtype=torch.long)
    logits, loss = built(config)(idx, idx)
    assert logits.shape == (2, config.block_size, config.vocab_size)
    assert math.isfinite(loss.item())


def test_first_loss_is_ln_v() -> None:
    config = replace(SMALL, vocab_size=4096, n_embd=64, block_size=64)
    draws = torch.Generator().manual_seed(0)
    idx, targets = (torch.randint(4096, (8, 64), generator=draws) for _ in range(2))
    # Logits of independent targets have mean 0 and std 0.02 * sqrt(64) = 0.16: the loss lies 0.16^2 / 2
    # above ln V, and the mean over 512 targets varies by 0.16 / sqrt(512) = 0.007.
    assert abs(built(config)(idx, targets)[1].item() - math.log(4096) - 0.0128) < 5 * 0.007


def test_a_later_token_changes_no_earlier_logit() -> None:
    model = built(SMALL)
    idx = torch.arange(16).unsqueeze(0)
    changed = idx.clone()
    changed[0, 10] = 99
    before, after = model(idx, idx)[0], model(changed, idx)[0]
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.equal(before[:, 10:], after[:, 10:])


def test_targets_of_minus_one_are_ignored() -> None:
    model = built(SMALL)
    idx = torch.arange(16).unsqueeze(0)
    targets = idx.roll(-1, 1)
    masked = targets.clone()
    masked[0, 8:] = -1
    logits, loss = model(idx, masked)
    expected = torch.nn.functional.cross_entropy(logits[0, :8], targets[0, :8])
    torch.testing.assert_close(loss, expected)


def test_initialisation_depends_on_the_seed_and_on_nothing_else() -> None:
    torch.manual_seed(1)
    one = built(SMALL).state_dict()
    torch.manual_seed(2)
    two = built(SMALL).state_dict()
    three = built(replace(SMALL, seed=7)).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["lm_head.weight"], three["lm_head.weight"])


def test_initialisation_follows_gpt2() -> None:
    config = replace(SMALL, n_layer=8, n_embd=128, bias=True)
    for name, parameter in built(config).named_parameters():
        if name.endswith("c_proj.weight"):
            assert abs(parameter.std().item() / (0.02 / math.sqrt(16)) - 1) < 0.03, name
        elif parameter.dim() == 2:
            assert abs(parameter.std().item() / 0.02 - 1) < 0.05, name
        else:
            assert torch.all(parameter == (1.0 if name.endswith("weight") else 0.0)), name


def test_dropout_of_zero_would_allocate_nothing() -> None:
    # Why the model has no dropout modules: with p = 0 the operation hands back its input's memory.
    x = torch.ones(3, requires_grad=True) * 2
    assert torch.nn.Dropout(0.0)(x).data_ptr() == x.data_ptr()
