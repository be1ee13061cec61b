"""Methods that must not change what is computed: bit for bit, on real arithmetic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch._functorch import config as functorch
from torch.utils.flop_counter import FlopCounterMode

from nanocheck.core import memory_formulas
from nanocheck.core.config import StepConfig
from nanocheck.step.methods.budget import set_memory_budget
from nanocheck.step.methods.checkpointing import checkpoint_blocks
from nanocheck.step.methods.in_backward import UpdateInBackward
from nanocheck.step.model import GPT, initialise
from nanocheck.step.optimizer import build_optimizer
from nanocheck.step.precision import autocast

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

SMALL = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4, dtype="fp32")


def built(config: StepConfig) -> GPT:
    model = GPT(config)
    initialise(model, config)
    checkpoint_blocks(model, config.checkpointing)
    return model


def backward(model: nn.Module, config: StepConfig, seed: int = 0) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    tokens = torch.randint(config.vocab_size, (config.batch, config.block_size + 1), generator=draws)
    with autocast(config, "cpu"):
        loss = model(tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous())[1]
    loss.backward()
    return loss.detach()


def gradients(config: StepConfig) -> list[torch.Tensor]:
    model = built(config)
    loss = backward(model, config)
    return [loss, *(each.grad for each in model.parameters() if each.grad is not None)]


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("kind", ["block", "selective"])
def test_checkpointing_gives_the_same_gradients_bit_for_bit(kind: str, dtype: str) -> None:
    plain = gradients(replace(SMALL, dtype=dtype))
    again = gradients(replace(SMALL, dtype=dtype, checkpointing=kind))
    assert len(plain) == len(again) == 1 + len(list(GPT(SMALL).parameters()))
    assert all(torch.equal(one, other) for one, other in zip(plain, again, strict=True))


class Products(torch.utils._python_dispatch.TorchDispatchMode):
    """Counts operations by name."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.seen.append(str(op))
        return op(*args, **(kwargs or {}))


@pytest.mark.parametrize("kind", ["none", "block", "selective"])
def test_each_kind_computes_again_what_it_says(kind: str) -> None:
    # A block has 4 matrix products forward, an attention and a GELU; the model 2 blocks. Of those computed
    # again, the last is left out: nothing in the backward asks for what it gives.
    config = replace(SMALL, checkpointing=kind)
    model = built(config)
    with Products() as products:
        backward(model, config)
    seen = products.seen
    again = int(kind == "block")
    assert sum("aten.mm" in op for op in seen) == (4 * 2 + 1) * 3 + again * 3 * 2
    assert sum("attention_for_cpu.default" in op for op in seen) == 2 + 2 * again
    assert sum(op == "aten.gelu.default" for op in seen) == 2 + 2 * (kind != "none")


def test_evaluation_is_not_checkpointed() -> None:
    model = built(replace(SMALL, checkpointing="block")).eval()
    with Products() as products:
        backward(model, SMALL)
    assert sum(op == "aten.gelu.default" for op in products.seen) == 2


@pytest.mark.parametrize("optimizer", ["adamw-fused", "adamw-foreach", "adamw-loop"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_updates_in_the_backward_equal_steps_bit_for_bit(optimizer: str, dtype: str) -> None:
    config = replace(SMALL, optimizer=optimizer, dtype=dtype)
    plain, hooked = built(config), built(config)
    step = build_optimizer(plain, config)
    in_backward = build_optimizer(hooked, replace(config, update="backward"))
    assert isinstance(in_backward, UpdateInBackward)
    for seed in range(3):
        backward(plain, config, seed)
        step.step()
        step.zero_grad()
        backward(hooked, config, seed)
        assert all(each.grad is None for each in hooked.parameters())
        in_backward.step()
    for one, other in zip(plain.parameters(), hooked.parameters(), strict=True):
        assert torch.equal(one, other)
    assert plain_data(step.state_dict()) == plain_data(in_backward.state_dict())


def plain_data(value: Any) -> Any:
    """Tensors as lists, so that whole state dicts can be compared."""
    if isinstance(value, dict):
        return {name: plain_data(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain_data(each) for each in value]
    return value.tolist() if isinstance(value, torch.Tensor) else value


def counted_flops(config: StepConfig) -> int:
    model = built(config)
    with FlopCounterMode(display=False) as counter:
        backward(model, config)
    return int(counter.get_total_flops())


def test_counted_operations_are_the_formulas() -> None:
    plain = counted_flops(SMALL)
    chunked = counted_flops(replace(SMALL, loss="chunked")) - plain
    assert chunked == memory_formulas.head_flops(SMALL)
    # PyTorch counts no attention kernel of the CPU.
    attention = SMALL.n_layer * SMALL.batch * 4 * SMALL.block_size**2 * SMALL.n_embd
    again = counted_flops(replace(SMALL, checkpointing="block")) - plain
    assert again == memory_formulas.recomputed_block_flops(SMALL) - attention
    assert counted_flops(replace(SMALL, checkpointing="selective")) == plain


def test_the_memory_budget_is_told_to_the_compiler_and_taken_back() -> None:
    compiled = replace(SMALL, compile="default")
    for percent, expected in ((40, 0.4), (100, 1.0)):
        set_memory_budget(replace(compiled, memory_budget=percent))
        assert functorch.activation_memory_budget == expected
