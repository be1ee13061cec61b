"""Which ways are searched, and how an answer is told to a script."""

from __future__ import annotations

import ast
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import find_gpu
from nanocheck.report import script_settings
from nanocheck.search import training_variants

CARD = find_gpu("rtx4070")
GPT2 = StepConfig(batch=1)
CHAT = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 12, "batch": 1})
OLD_CHAT = StepConfig.from_dict({"model": "nanochat-2025", "n_layer": 12, "batch": 1})


def names(found: list[training_variants.Way]) -> list[str]:
    return [training_variants.name(variant) for way in found for variant in way.variants]


def test_without_a_change_only_what_the_script_can_be_told() -> None:
    found = training_variants.ways(GPT2, CARD)
    assert all(way.expressible for way in found)
    assert names(found) == [
        f"{dtype} {mode}{allocator}"
        for mode in ("compile", "eager")
        for dtype in ("bf16", "fp16")
        for allocator in ("", " expandable")
    ]


def test_nanochat_is_always_compiled_with_expandable_segments() -> None:
    settings = [
        training_variants.name(each)
        for way in training_variants.ways(CHAT, CARD)
        if way.expressible
        for each in way.variants
    ]
    assert settings == ["bf16 compile expandable", "fp16 compile expandable"]
    old = [way for way in training_variants.ways(OLD_CHAT, CARD) if way.expressible]
    assert names(old) == ["bf16 compile expandable"]


def test_with_a_change_every_combination_of_methods_is_there() -> None:
    found = training_variants.ways(GPT2, CARD, dtypes=["bf16"], change_script=True)
    # Losses x optimizers x (none, selective, block), compiled and not, two allocators.
    assert len(found) == 2 * 2 * 3 * 2
    assert len(set(names(found))) == len(names(found)) == 2 * len(found)
    assert sum(training_variants.expressible(way.variants[0]) for way in found) == 2


def test_a_card_without_bf16_is_asked_for_fp16() -> None:
    assert {each.dtype for way in training_variants.ways(GPT2, find_gpu("t4")) for each in way.variants} == {
        "fp16"
    }


def test_what_the_script_has_no_word_for_is_refused() -> None:
    with pytest.raises(RequestError, match=r"8bit needs an edit(.|\n)*--change-script"):
        training_variants.ways(GPT2, CARD, methods=["8bit"])
    with pytest.raises(RequestError, match="expected words joined by"):
        training_variants.ways(GPT2, CARD, methods=["9bit"])
    with pytest.raises(RequestError, match="expected one compile"):
        training_variants.method("eager+compile")
    with pytest.raises(RequestError, match="--dtype: expected one of"):
        training_variants.ways(GPT2, CARD, dtypes=["int8"])


@given(st.lists(st.sampled_from(sorted(training_variants.WORDS)), min_size=1, max_size=4, unique=True))
def test_a_method_is_named_by_the_words_that_made_it(words: list[str]) -> None:
    try:
        config = StepConfig.from_dict({"batch": 1, **training_variants.method("+".join(words))})
    except RequestError:
        return
    back = training_variants.method("+".join(training_variants.name(config).split()))
    assert StepConfig.from_dict({"batch": 1, **back}) == config


@given(
    batch=st.integers(1, 64),
    accumulation=st.integers(1, 64),
    dtype=st.sampled_from(["bf16", "fp16", "tf32"]),
    mode=st.sampled_from(["off", "default"]),
    allocator=st.sampled_from(["default", "expandable"]),
    heads=st.integers(1, 16),
)
def test_lines_for_nanogpt_are_python_and_say_the_configuration(heads: int, **fields: Any) -> None:
    fields["compile"] = fields.pop("mode")
    config = StepConfig(n_head=heads, n_embd=heads * 48, **fields)
    settings = script_settings.settings(config)
    values = {}
    for line in settings.lines:
        (statement,) = ast.parse(line).body
        assert isinstance(statement, ast.Assign)
        assert isinstance(statement.targets[0], ast.Name)
        values[statement.targets[0].id] = ast.literal_eval(statement.value)
    assert values == {
        "batch_size": config.batch,
        "gradient_accumulation_steps": config.accumulation,
        "block_size": 1024,
        "n_layer": 12,
        "n_head": heads,
        "n_embd": heads * 48,
        "bias": False,
        "dtype": {"bf16": "bfloat16", "fp16": "float16", "tf32": "float32"}[config.dtype],
        "compile": config.compile == "default",
    }
    expandable = {"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}
    assert settings.environment == (expandable if config.allocator == "expandable" else {})
    assert settings.changes == ()


def test_flags_for_nanochat() -> None:
    config = StepConfig.from_dict({"model": "nanochat-2026", "n_layer": 20, "batch": 8, "accumulation": 32})
    assert script_settings.settings(config).lines == (
        "--depth=20 --max-seq-len=2048 --device-batch-size=8 --total-batch-size=524288 --window-pattern=SSSL",
    )
    assert script_settings.settings(config).environment == {"NANOCHAT_DTYPE": "bfloat16"}
    old = StepConfig.from_dict({"model": "nanochat-2025", "n_layer": 20, "batch": 8, "accumulation": 32})
    assert script_settings.settings(old).lines == (
        "--depth=20 --max_seq_len=2048 --device_batch_size=8 --total_batch_size=524288",
    )


def test_what_must_be_edited_is_said_with_its_cost() -> None:
    config = StepConfig(checkpointing="block", optimizer="adamw-8bit", allocator="expandable")
    changes = script_settings.settings(config).changes
    assert len(changes) == 2
    assert any("activation checkpointing" in each and "once more" in each for each in changes)
