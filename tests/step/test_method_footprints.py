"""Closed forms of weights, gradients and state against what tensors of real steps ask for, to the byte."""

from __future__ import annotations

import math
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_steps import SMALL, Held

from nanocheck.core import memory_formulas
from nanocheck.core.config import StepConfig
from nanocheck.core.shapes import parameter_shapes

#: Workspaces, batches, logits and loss: the same with and without a method.
FP32_LOSS = 4

needs_torchao = pytest.mark.skipif(find_spec("torchao") is None, reason="pip install torchao")


def config(**fields: Any) -> StepConfig:
    return StepConfig.from_dict({**SMALL, **fields})


def batches_bytes(each: StepConfig) -> int:
    return 2 * 8 * each.batch * each.block_size


STATIC = [
    {},
    {"optimizer": "adamw-loop"},
    {"weights": "bf16"},
    {"weights": "bf16", "optimizer": "adamw-8bit"},
    {"weights": "nf4-lora"},
    {"weights": "nf4-lora", "n_embd": 80, "bias": True, "optimizer": "adamw-8bit"},
    {"optimizer": "adamw-8bit"},
    {"optimizer": "adamw-8bit", "n_embd": 68, "vocab_size": 1001},
    {"optimizer": "adamw-8bit", "update": "backward"},
    # 1,600 rows of 64 are 102,400 numbers: enough to be paged, the other tensors are not.
    {"optimizer": "adamw-8bit-paged", "vocab_size": 1600},
    # torchao compiles this one's step, a graph for each shape.
    pytest.param({"optimizer": "adamw-4bit"}, marks=[needs_torchao, pytest.mark.slow]),
    pytest.param({"optimizer": "adamw-offload"}, marks=needs_torchao),
    {"update": "backward"},
]


@pytest.mark.parametrize("fields", STATIC, ids=str)
def test_weights_gradients_and_state_are_the_closed_forms(fields: dict[str, Any], held: Held) -> None:
    each, found = config(**fields), held(**fields)
    assert found["build 0"] == memory_formulas.weight_bytes(each)
    logits = each.batch * each.block_size * each.vocab_size * 2
    rest = found["workspaces"] + batches_bytes(each) + logits + FP32_LOSS
    assert found["optimizer 1"] - rest == memory_formulas.weight_bytes(each) + memory_formulas.state_bytes(
        each
    )
    gradients = 0 if each.update == "backward" else memory_formulas.gradient_bytes(each)
    assert found["backward 1"] - found["optimizer 1"] == gradients


@pytest.mark.parametrize("model", ["nanochat-2025", "nanochat-2026"])
def test_the_forms_hold_for_nanochat(model: str, held: Held) -> None:
    asked = [
        {"optimizer": "adamw-fused"},
        {"optimizer": "adamw-8bit", "weights": "bf16"},
        {"optimizer": "adamw-8bit", "weights": "nf4-lora"},
    ]
    # Rotary tables and lengths of tokens are no weights, and the same in every format; no logits are kept.
    buffers, rest = set(), set()
    for fields in asked:
        each, found = config(model=model, n_head=2, **fields), held(model=model, n_head=2, **fields)
        assert found["backward 1"] - found["optimizer 1"] == memory_formulas.gradient_bytes(each)
        buffers.add(found["build 0"] - memory_formulas.weight_bytes(each))
        rest.add(found["optimizer 1"] - found["build 0"] - memory_formulas.state_bytes(each))
    assert len(buffers) == len(rest) == 1


def test_a_checkpointed_block_keeps_its_input_and_nothing_else(held: Held) -> None:
    two, three = (held(n_layer=layers, checkpointing="block")["forward 0"] for layers in (2, 3))
    weights = memory_formulas.weight_bytes(config(n_layer=3)) - memory_formulas.weight_bytes(
        config(n_layer=2)
    )
    assert three - two - weights == 2 * 64 * 64 * 4


@pytest.mark.parametrize("fields", [{}, {"dtype": "fp32"}, {"weights": "bf16"}], ids=str)
def test_less_is_kept_the_more_is_computed_again(fields: dict[str, Any], held: Held) -> None:
    none, selective, block = (
        held(**fields, checkpointing=kind)["forward 0"] for kind in ("none", "selective", "block")
    )
    assert block < selective < none


@pytest.mark.parametrize("dtype", ["bf16", "fp32"])
def test_a_chunked_loss_saves_about_its_formula(dtype: str, held: Held) -> None:
    # Many tokens and a narrow head: the head's gradient, which only the chunked loss adds up, is small.
    fields = {"vocab_size": 32768, "dtype": dtype, "n_embd": 16, "batch": 8}
    full, chunked = (held(**fields, loss=kind)["backward 1 peak"] for kind in ("full", "chunked"))
    expected = memory_formulas.chunked_loss_saving(config(**fields))
    # The formula is about logits only; gradients of other things are alive at the other peak.
    assert full - chunked == pytest.approx(expected, rel=0.1)


def test_the_backward_update_keeps_a_few_gradients_at_a_time(held: Held) -> None:
    # A small vocabulary, for otherwise the loss is the peak, where no gradient of a weight is alive.
    # In fp32, for autocast's copies of the weights are alive until their blocks' backward.
    fields = {"vocab_size": 16, "n_layer": 8, "batch": 1, "block_size": 8, "n_embd": 128, "dtype": "fp32"}
    step, backward = (held(**fields, update=kind)["backward 1 peak"] for kind in ("step", "backward"))
    all_gradients = memory_formulas.gradient_bytes(config(**fields))
    assert step - backward > 0.7 * all_gradients


@given(
    st.sampled_from(["gpt2", "nanochat-2025", "nanochat-2026"]),
    st.integers(1, 12),
    st.integers(1, 5),
    st.booleans(),
)
def test_shapes_add_up_to_the_parameters(model: str, layers: int, heads: int, bias: bool) -> None:
    sizes = {"n_head": heads, "n_embd": 32 * heads, **({"bias": bias} if model == "gpt2" else {})}
    each = StepConfig.from_dict({"model": model, "n_layer": layers, **sizes})
    assert sum(map(math.prod, parameter_shapes(each))) == each.parameters
