"""The count of operations against PyTorch's own counter, and against published steps."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from nanocheck.core.config import StepConfig
from nanocheck.core.gpus import find_gpu
from nanocheck.search import step_cost
from nanocheck.step.model import GPT

#: The counter sees the products alone, as the formula does: what differs is rounding of nothing.
TOLERANCE = 1e-6


def counted(config: StepConfig) -> dict[str, int]:
    """Operations of forward and backward of one micro-batch by kind of operator, without computing it."""
    with torch.device("meta"):
        model = GPT(config)
        tokens = torch.zeros((config.batch, config.block_size), dtype=torch.long)
    with FlopCounterMode(display=False) as counter:
        _, loss = model(tokens, tokens)
        loss.backward()
    return {str(name): flops for name, flops in counter.get_flop_counts()["Global"].items()}


@pytest.mark.parametrize(
    "sizes",
    [
        {"n_layer": 2, "n_head": 2, "n_embd": 64, "block_size": 128, "vocab_size": 512},
        {"n_layer": 3, "n_head": 4, "n_embd": 96, "block_size": 64, "vocab_size": 1000, "batch": 3},
        {},
    ],
)
def test_products_and_attention_are_what_pytorch_counts(sizes: dict[str, int]) -> None:
    config = StepConfig(**sizes)  # type: ignore[arg-type]
    found = counted(config)
    tokens = config.batch * config.block_size
    attention = sum(flops for name, flops in found.items() if "attention" in name or "bmm" in name)
    blocks, head = step_cost._products(config)
    assert sum(found.values()) - attention == pytest.approx(tokens * 3 * (blocks + head), rel=TOLERANCE)
    # Two products in the forward; in the backward four, or five where the scores are computed again.
    square = 2 * config.n_embd * config.block_size * config.n_layer * tokens
    assert attention in (6 * square, 7 * square)
    if attention == 6 * square:
        usual = step_cost.usual_operations_per_token(config)
        assert sum(found.values()) == pytest.approx(tokens * usual, rel=TOLERANCE)
    # Ours halves it for the causal mask and computes the scores again.
    ours = step_cost.operations_per_token(config) * tokens
    assert ours == pytest.approx(sum(found.values()) - attention + 7 * square / 2, rel=TOLERANCE)


def test_nanochats_own_figure_is_met() -> None:
    """d12 of mid-2026 trains with 8.871e8 operations per token, as its log says."""
    config = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 12, "window": "L"})
    assert step_cost.usual_operations_per_token(config) == pytest.approx(8.871e8, rel=1e-3)


@pytest.mark.parametrize(
    ("gpu", "config", "seconds"),
    [
        ("rtx4070", {"batch": 8, "accumulation": 64}, 9.341),
        (
            "rtx4070",
            {"model": "nanochat-2026", "n_layer": 12, "window": "L", "batch": 8, "accumulation": 4},
            1.177,
        ),
        ("rtx4090", {"model": "nanochat-2025", "n_layer": 20, "batch": 4, "accumulation": 64}, 13.777),
    ],
)
def test_published_steps_are_met_within_5_percent(
    gpu: str, config: dict[str, object], seconds: float
) -> None:
    """Sources: the docstring of ``cost``. Nothing there was fitted to them."""
    found = step_cost.cost(StepConfig.from_dict({"compile": "default", **config}), find_gpu(gpu))
    assert found.seconds == pytest.approx(seconds, rel=0.05)


def test_what_is_computed_again_costs_time_and_bigger_batches_save_some() -> None:
    gpu, plain = find_gpu("rtx4070"), StepConfig(batch=8, accumulation=8, compile="default")

    def seconds(**changes: object) -> float:
        return step_cost.cost(replace(plain, **changes), gpu).seconds  # type: ignore[arg-type]

    assert seconds(compile="off") > seconds()
    assert seconds(checkpointing="block") > seconds(checkpointing="selective") > seconds()
    assert seconds(loss="chunked") > seconds()
    assert seconds(dtype="fp32") > seconds(dtype="tf32") > seconds(dtype="bf16") == seconds(dtype="fp16")
    assert seconds(optimizer="adamw-foreach") > seconds() > seconds(optimizer="adamw-8bit")
    assert seconds(batch=16, accumulation=4) < seconds()
    assert seconds(memory_budget=50) > seconds()


def test_a_short_window_is_cheaper() -> None:
    def operations(window: str) -> float:
        config = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 12, "window": window})
        return step_cost.operations_per_token(config)

    assert operations("S") < operations("SSSL") < operations("L")
    assert step_cost.windows(StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 4})) == [
        512,
        512,
        512,
        2048,
    ]


def test_a_token_looks_at_what_its_window_and_the_tokens_before_it_leave() -> None:
    config = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 6, "window": "SSL"})
    seen = [
        sum(min(at + 1, window) for at in range(config.block_size)) / config.block_size
        for window in step_cost.windows(config)
    ]
    blocks, head = step_cost._products(config)
    attention = step_cost.operations_per_token(config) - 3 * (blocks + head)
    assert attention == pytest.approx(7 * 2 * config.n_embd * sum(seen), rel=2e-3)


def test_every_optimizer_and_card_has_a_cost() -> None:
    from nanocheck.core.gpus import load_catalog
    from nanocheck.core.step_fields import OPTIMIZERS

    assert set(step_cost._OPTIMIZER_BYTES) == set(OPTIMIZERS)
    for gpu in load_catalog().values():
        for dtype in ("fp32", "tf32", "bf16", "fp16"):
            found = step_cost.cost(StepConfig(dtype=dtype), gpu)
            assert math.isfinite(found.seconds)
            assert found.seconds > 0
