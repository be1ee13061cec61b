"""Every method trains, on real arithmetic: losses fall, resuming goes on where the run stopped."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nanocheck.core import methods
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError, StoredDataError
from nanocheck.step.cycle import prepare_checkpoint, read_checkpoint
from nanocheck.step.loss import chunked_next_token_loss, next_token_loss
from nanocheck.step.methods.weights import LoraLinear, add_adapters
from nanocheck.step.model import GPT, initialise
from nanocheck.step.run import RunOutcome, run_step

torch.set_num_threads(1)  # two threads on a busy machine wait for each other longer than they compute

SMALL = StepConfig(n_layer=2, n_head=2, n_embd=32, block_size=16, vocab_size=256, batch=4)
#: One window: every batch is the same, so a resumed run continues with the data of an uninterrupted one.
ONE_WINDOW = np.random.default_rng(5).integers(0, 256, size=17)

needs_bitsandbytes = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="pip install bitsandbytes")


def run(config: StepConfig, steps: int, **options: Any) -> RunOutcome:
    options = {"tokens": ONE_WINDOW, "read_losses": True, "observe": lambda phase, step: None, **options}
    return run_step(config, "cpu", steps=steps, **options)


CHANGED = [
    {"weights": "bf16"},
    {"update": "backward"},
    {"loss": "chunked"},
    {"checkpointing": "block", "weights": "bf16", "loss": "chunked", "update": "backward"},
    pytest.param({"optimizer": "adamw-8bit"}, marks=needs_bitsandbytes),
    pytest.param({"optimizer": "adamw-8bit", "update": "backward"}, marks=needs_bitsandbytes),
    pytest.param({"weights": "nf4-lora"}, marks=needs_bitsandbytes),
]


@pytest.mark.parametrize("fields", CHANGED, ids=str)
def test_it_trains_and_resumes_as_if_it_had_not_stopped(fields: dict[str, Any], tmp_path: Path) -> None:
    config = replace(SMALL, **fields)
    whole = run(config, 12)
    assert whole.losses[-1] < whole.losses[0] - 0.1
    assert all(norm > 0 for norm in whole.grad_norms)
    first = run(replace(config, cycle="full"), 6, workdir=tmp_path)
    second = run(replace(config, cycle="resume"), 6, checkpoint=tmp_path / "checkpoint.pt")
    assert first.losses + second.losses == whole.losses
    assert first.grad_norms + second.grad_norms == whole.grad_norms


@pytest.mark.parametrize("fields", CHANGED, ids=str)
def test_a_prepared_checkpoint_looks_like_a_saved_one(fields: dict[str, Any], tmp_path: Path) -> None:
    config = replace(SMALL, n_embd=64, **fields)
    run(replace(config, cycle="full"), 1, workdir=tmp_path, read_losses=False)
    prepare_checkpoint(config, tmp_path / "prepared.pt")
    names = ("checkpoint.pt", "prepared.pt")
    saved, prepared = (torch.load(tmp_path / name, weights_only=True) for name in names)
    assert shape(saved["model"]) == shape(prepared["model"])
    assert shape(saved["optimizer"]["param_groups"]) == shape(prepared["optimizer"]["param_groups"])
    one, other = (unwrapped(each["optimizer"]["state"]) for each in (saved, prepared))
    assert shape(one) == shape(other)
    # And it can be gone on from.
    run(replace(config, cycle="resume"), 1, read_losses=False)


def shape(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape)
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    return [shape(each) for each in value] if isinstance(value, list) else type(value)


def unwrapped(state: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """bitsandbytes puts its own tensors into a dict of their own when it saves, and takes both forms."""
    wrapped = "__bnb_optimizer_quant_state__"
    return {
        number: {**{name: each for name, each in entry.items() if name != wrapped}, **entry.get(wrapped, {})}
        for number, entry in state.items()
    }


def test_gradients_of_a_backward_update_are_measured_as_those_of_a_step() -> None:
    step, backward = (run(replace(SMALL, update=kind), 1).grad_norms for kind in ("step", "backward"))
    assert backward == pytest.approx(step, rel=1e-6)


def test_bf16_weights_are_bf16_and_so_are_their_gradients_and_state(tmp_path: Path) -> None:
    run(replace(SMALL, weights="bf16", cycle="full"), 1, workdir=tmp_path)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert {each.dtype for each in saved["model"].values()} == {torch.bfloat16}
    moments = {state[name].dtype for state in saved["optimizer"]["state"].values() for name in state}
    assert moments == {torch.bfloat16, torch.float32}  # fp32 is the step counter's
    assert {state["exp_avg"].dtype for state in saved["optimizer"]["state"].values()} == {torch.bfloat16}


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("softcap", [None, 15.0])
@pytest.mark.parametrize("tokens", [7, 8, 64, 67])
def test_a_chunked_loss_and_its_gradients_are_the_full_ones(
    tokens: int, softcap: float | None, reduction: str
) -> None:
    torch.manual_seed(tokens)
    head = nn.Linear(8, 50, bias=False)
    x, targets = torch.randn(1, tokens, 8, requires_grad=True), torch.randint(50, (1, tokens))
    targets[0, :: max(2, tokens // 3)] = -1
    found = []
    for function in (next_token_loss, chunked_next_token_loss):
        logits, loss = function(head, x, targets, softcap=softcap, reduction=reduction)
        assert (logits is None) == (function is chunked_next_token_loss)
        gradients = torch.autograd.grad(loss.square().sum(), [x, head.weight])
        found.append([loss.detach(), *gradients])
    for full, chunked in zip(*found, strict=True):
        torch.testing.assert_close(chunked, full)


@pytest.mark.parametrize("dtype", ["fp32", "bf16", "fp16"])
def test_chunked_losses_follow_full_ones_through_accumulation(dtype: str) -> None:
    # fp32 adds in another order. With 16 bits, gradients of chunks are rounded before they are added.
    loss, norm = (1e-5, 1e-4) if dtype == "fp32" else (2e-3, 2e-2)
    config = replace(SMALL, dtype=dtype, accumulation=3)
    full, chunked = run(config, 3), run(replace(config, loss="chunked"), 3)
    np.testing.assert_allclose(chunked.losses, full.losses, rtol=loss)
    np.testing.assert_allclose(chunked.grad_norms, full.grad_norms, rtol=norm)


@pytest.fixture
def adapted() -> nn.Module:
    pytest.importorskip("bitsandbytes")
    config = replace(SMALL, weights="nf4-lora", n_embd=64)
    model = GPT(config)
    initialise(model, config)
    add_adapters(model, config)
    return model.to("cpu")


def test_only_adapters_are_trained(adapted: nn.Module) -> None:
    trained = {name.rpartition(".")[2] for name, each in adapted.named_parameters() if each.requires_grad}
    assert trained == {"lora_a", "lora_b"}
    layers = [each for each in adapted.modules() if isinstance(each, LoraLinear)]
    assert len(layers) == 2 * 4
    assert sum(isinstance(each, nn.Linear) for each in adapted.modules()) == 2 * 4 + 1  # and the head


def test_an_adapted_layer_begins_as_the_frozen_one_within_four_bits(adapted: nn.Module) -> None:
    layer = next(each for each in adapted.modules() if isinstance(each, LoraLinear))
    config = replace(SMALL, n_embd=64)
    plain = GPT(config)
    initialise(plain, config)
    weight = plain.get_submodule("transformer.h")[0].attn.c_attn.weight  # type: ignore[index]
    x = torch.randn(100, 64, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected, found = x.float() @ weight.T, layer(x).float()
    # NF4 has a mean error of about 0.1 of a normal weight's size; independent errors add as the weights do.
    assert 0.01 < ((found - expected).square().mean() / expected.square().mean()).sqrt() < 0.2


def test_a_checkpoint_of_other_weights_is_refused(tmp_path: Path) -> None:
    prepare_checkpoint(SMALL, tmp_path / "fp32.pt")
    with pytest.raises(StoredDataError, match="expected weights bf16, found fp32"):
        read_checkpoint(replace(SMALL, weights="bf16"), tmp_path / "fp32.pt", "cpu")


@pytest.mark.parametrize("optimizer", ["adamw-4bit", "adamw-offload"])
def test_a_missing_library_is_named_with_its_command(optimizer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchao.optim", None)
    with pytest.raises(RequestError, match="expected torchao for optimizer"):
        run(replace(SMALL, optimizer=optimizer), 1)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"weights": "bf16", "dtype": "fp32"}, "weights: bf16 are multiplied as bf16"),
        ({"weights": "nf4-lora", "dtype": "tf32"}, "weights: nf4-lora computes in 16 bits"),
        ({"optimizer": "adamw-offload", "dtype": "fp16"}, "before the loss scaler"),
        ({"optimizer": "adamw-offload", "update": "backward"}, "works on many parameters at once"),
        ({"optimizer": "adamw-offload", "cycle": "resume"}, "can be made by a GPU run only"),
        ({"update": "backward", "accumulation": 2}, "nothing to accumulate in"),
        ({"update": "backward", "dtype": "fp16"}, "the loss scaler"),
        ({"memory_budget": 50}, "in a compiled step only"),
    ],
)
def test_methods_that_do_not_go_together_are_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(RequestError, match=says):
        replace(SMALL, **fields)


@pytest.mark.parametrize("method", methods.METHODS, ids=lambda each: f"{each.field}={each.value}")
def test_the_table_s_values_are_fields_values(method: methods.Method) -> None:
    compiled = replace(SMALL, compile="default")
    config = method.applied_to(compiled)
    assert method in methods.used(config)
    assert methods.used(compiled) == ()
    assert method.extra_flops(config) >= 0
    saved = method.saved_bytes(config)
    assert saved is None or saved > 0
