"""What stays between steps is arithmetic: parameters, gradients, optimizer state, and a few names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given

from nanocheck.core.config import StepConfig
from properties.configurations import configurations, explored
from properties.laboratory import Laboratory

MIB = 1 << 20


def parameter_sizes(config: StepConfig) -> list[int]:
    """Elements of each parameter of a GPT-2, written down from the architecture, not asked of the model."""
    c, sizes = config.n_embd, [config.vocab_size * config.n_embd, config.block_size * config.n_embd]
    norm = [c, c] if config.bias else [c]
    for rows, columns in ((3 * c, c), (c, c), (4 * c, c), (c, 4 * c)):
        sizes += config.n_layer * ([rows * columns, rows] if config.bias else [rows * columns])
    return sizes + norm * (2 * config.n_layer + 1)


def parts(config: StepConfig, workspaces: list[int]) -> dict[str, list[int]]:
    """Bytes of every tensor that is alive when a step ends.

    fp32 parameters and gradients, two fp32 moments (Loshchilov and Hutter 2019), a step counter (fp32) per
    tensor on the card where AdamW is fused, or where it was loaded from a checkpoint onto the card; the
    names nanoGPT's loop keeps: logits, loss, the next batch's two int64 tensors, and after resuming the
    loaded weights; a GradScaler's ``_scale`` and ``_growth_tracker``; cuBLAS's workspaces, which are as
    large as PyTorch says.
    """
    sizes = [4 * each for each in parameter_sizes(config)]
    tokens = config.batch * config.block_size
    half = config.dtype in ("bf16", "fp16")
    on_card = config.optimizer == "adamw-fused" or config.cycle == "resume"
    return {
        "parameters": sizes,
        "gradients": sizes,
        "state": sizes + sizes + [4] * (len(sizes) * on_card),
        "names": [tokens * config.vocab_size * (2 if half else 4), 4, 8 * tokens, 8 * tokens],
        "loaded": sizes if config.cycle == "resume" else [],
        "scaler": [4, 4] if config.dtype == "fp16" else [],
        "workspaces": workspaces,
    }


def together(tensors: dict[str, list[int]]) -> list[int]:
    return [size for part in tensors.values() for size in part]


def rounded(sizes: list[int]) -> int:
    """Bytes of the blocks: multiples of 512 (``round_size`` of c10/cuda/CUDACachingAllocator.cpp)."""
    return sum(-(-size // 512) * 512 for size in sizes)


def alive(found: dict[str, Any], phase: str, step: int) -> tuple[int, int]:
    """Requested and allocated bytes alive at the last end of this phase of this step."""
    rows = [row for row in found["rows"] if row[0] == phase and row[1] == step]
    return rows[-1][2], rows[-1][3]


def check(config: StepConfig, found: tuple[int, int], expected: list[int], what: str) -> None:
    requested, allocated = found
    assert requested == sum(expected), f"{what} of {config.id}: {requested:,} for {sum(expected):,}"
    slack = allocated - rounded(expected)
    # The default allocator hands out a block of more than 1 MiB whole, unless more than 1 MiB would be left
    # (should_split); expandable segments always split.
    large = sum(size > MIB for size in expected) if config.allocator == "default" else 0
    assert 0 <= slack <= large * MIB, f"{what} of {config.id}: {slack:,} bytes in {large} large blocks"


@explored(short=3, long=15)
@given(configs=configurations())
def test_what_stays_is_the_sum_of_its_parts(lab: Laboratory, configs: list[StepConfig]) -> None:
    for config, found in zip(configs, lab.live(configs), strict=True):
        tensors = parts(config, found["workspaces"])
        if config.cycle != "resume":
            check(config, alive(found, "build", 0), tensors["parameters"], "build")
        check(config, alive(found, "backward", 1), together(tensors), "backward")
        tensors["gradients"] = []  # set to None
        check(config, alive(found, "optimizer", 1), together(tensors), "optimizer")


@explored(long=4)
@given(configs=configurations(cycle="train", accumulation=1))
def test_the_first_backward_has_no_state_beside_it(lab: Laboratory, configs: list[StepConfig]) -> None:
    """AdamW makes its moments in its first step, so an out-of-memory can wait until step 1."""
    for config, found in zip(configs, lab.live(configs), strict=True):
        tensors = {**parts(config, found["workspaces"]), "state": []}
        check(config, alive(found, "backward", 0), together(tensors), "first backward")


def test_the_sizes_written_down_are_the_configuration_s() -> None:
    for bias in (False, True):
        config = replace(StepConfig(), bias=bias)
        assert sum(parameter_sizes(config)) == config.parameters
