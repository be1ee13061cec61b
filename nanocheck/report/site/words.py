"""What fields of a configuration are called on the pages, and what each method is in a line."""

from __future__ import annotations

from collections.abc import Iterable

from nanocheck.core import architectures, methods
from nanocheck.core.config import StepConfig
from nanocheck.core.verdict import Kind

FAMILIES = {
    "gpt2": "GPT-2",
    "nanochat-2025": "nanochat 2025",
    "nanochat-2026": "nanochat 2026",
    "autoresearch": "autoresearch",
}
OPTIMIZERS = {
    "adamw-fused": "AdamW fused",
    "adamw-foreach": "AdamW foreach",
    "adamw-loop": "AdamW loop",
    "adamw-8bit": "AdamW 8-bit",
    "adamw-8bit-paged": "AdamW 8-bit paged",
    "adamw-4bit": "AdamW 4-bit",
    "adamw-offload": "AdamW offload",
    "muon": "Muon + AdamW",
}
COMPILE = {"off": "eager", "default": "compiled", "reduce-overhead": "CUDA graphs"}
CHECKPOINTING = {"none": "none", "block": "blocks", "selective": "selective"}
_ALSO = {
    ("allocator", "expandable"): "expandable segments",
    ("cycle", "full"): "evaluation and save",
    ("cycle", "whole"): "evaluation, sampling, save",
    ("cycle", "resume"): "resumed",
    ("weights", "bf16"): "bf16 weights",
    ("weights", "nf4-lora"): "4-bit weights, LoRA",
    ("loss", "chunked"): "chunked loss",
    ("update", "backward"): "update in backward",
}
#: Beside the verdict's own word, so that no verdict is told by its colour alone.
SIGNS = {
    Kind.SAFE: "\N{CHECK MARK}",
    Kind.TIGHT: "\N{ALMOST EQUAL TO}",
    Kind.PARTIAL: "\N{ALMOST EQUAL TO}",
    Kind.LOST_WORK: "\N{MULTIPLICATION SIGN}",
    Kind.OOM: "\N{MULTIPLICATION SIGN}",
}

_LINES = {
    ("dtype", "fp32"): "every number has 4 bytes, TF32 off",
    ("dtype", "tf32"): "every number has 4 bytes; matrix products read 19 bits of each",
    (
        "dtype",
        "bf16",
    ): "autocast: matrix products and what they keep for the backward in 2 bytes, weights in 4",
    ("dtype", "fp16"): "as bf16, with a GradScaler against underflow",
    ("compile", "off"): "eager: every operation by itself, its result in memory",
    ("compile", "default"): "torch.compile: operations fused, fewer results between them in memory",
    ("compile", "reduce-overhead"): "torch.compile with CUDA graphs: the same, and private pools that stay",
    ("optimizer", "adamw-fused"): "8 bytes of state a parameter; one kernel for all, no temporaries",
    ("optimizer", "adamw-foreach"): "8 bytes of state a parameter, and temporaries as large as parameters",
    ("optimizer", "adamw-loop"): "8 bytes of state a parameter; one parameter after the other",
    ("optimizer", "muon"): "Muon for matrices (4 bytes of state a parameter), AdamW for the rest",
    ("checkpointing", "none"): "all activations stay until the backward has used them",
    ("cycle", "full"): "an evaluation before and after the steps, and a checkpoint saved",
    ("cycle", "whole"): "the same, with sampling before the save",
    ("cycle", "resume"): "begins by loading a checkpoint",
}


def sign(kind: Kind) -> str:
    """The verdict's sign; a question mark where it says nothing about memory."""
    return SIGNS.get(kind, "?")


def precision(config: StepConfig) -> str:
    return config.dtype


def optimizer(config: StepConfig) -> str:
    return OPTIMIZERS.get(config.optimizer, config.optimizer)


def compiled(config: StepConfig) -> str:
    return COMPILE.get(config.compile, config.compile)


def checkpointing(config: StepConfig) -> str:
    return CHECKPOINTING.get(config.checkpointing, config.checkpointing)


def also(config: StepConfig) -> str:
    """What else differs from the usual; empty where nothing does."""
    found = [words for (field, value), words in _ALSO.items() if getattr(config, field) == value]
    if config.memory_budget != 100:
        found.append(f"activation budget {config.memory_budget} %")
    if config.ranks > 1:
        found.append(f"{config.sharding} of {config.ranks} ranks")
    if config.seed != StepConfig.seed:
        found.append(f"seed {config.seed}")
    return ", ".join(found)


def way(config: StepConfig) -> str:
    """``bf16, compiled, AdamW fused, 1,024 tokens, accumulation 8``: all but model and batch."""
    parts = [precision(config), compiled(config), optimizer(config)]
    if config.checkpointing != "none":
        parts.append(f"checkpointing {checkpointing(config)}")
    parts.append(f"{config.block_size:,} tokens")
    if config.accumulation != 1:
        parts.append(f"accumulation {config.accumulation}")
    rest = also(config)
    return ", ".join([*parts, rest] if rest else parts)


def sizes(config: StepConfig) -> str:
    """``12 layers, 12 heads, 768 wide, 50,304 tokens of vocabulary``."""
    parts = [f"{config.n_layer} layers, {config.n_head} heads, {config.n_embd} wide"]
    parts.append(f"{config.vocab_size:,} rows of vocabulary")
    if config.bias:
        parts.append("biases")
    if config.window != architectures.usual(config.model, "window"):
        parts.append(f"windows {config.window}")
    return ", ".join(parts)


def model(config: StepConfig, parameters: int) -> str:
    """``GPT-2 124M``, ``nanochat 2026 d12``."""
    family = FAMILIES.get(config.model, config.model)
    return f"{family} {count(parameters)}" if config.model == "gpt2" else f"{family} d{config.n_layer}"


def count(number: int) -> str:
    """``124M``, ``1.6B``."""
    for unit, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= unit:
            return f"{number / unit:.1f}{letter}" if number < 10 * unit else f"{number / unit:.0f}{letter}"
    return str(number)


def lines(configs: Iterable[StepConfig]) -> list[tuple[str, str]]:
    """Every method that some configuration uses, and what it is; formulas are those of ``core.methods``."""
    found: dict[str, str] = {}
    configs = list(configs)
    names = {"optimizer": optimizer, "compile": compiled}
    for (field, value), meaning in _LINES.items():
        for config in configs:
            if getattr(config, field) == value:
                name = names[field](config) if field in names else str(value)
                name = {"none": "no checkpointing"}.get(name, name)
                found.setdefault(_ALSO.get((field, value), name), meaning)
    for config in configs:
        for each in methods.used(config):
            found.setdefault(each.title, f"saves {each.saves}. Costs: {each.costs}")
    return list(found.items())
