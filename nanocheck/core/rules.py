"""Which configurations make sense: every field's type and range, and which values go together."""

from __future__ import annotations

from dataclasses import fields

from nanocheck.core import sharding
from nanocheck.core import step_fields as allowed
from nanocheck.core.architectures import AUTORESEARCH_GATE_CHANNELS, SMEAR_CHANNELS
from nanocheck.core.errors import RequestError
from nanocheck.core.step_fields import StepFields

#: Far beyond what any machine trains, and small enough that no product or name of them is a surprise.
MOST = 10**9
#: What PyTorch takes as a seed.
_MOST_SEED = (1 << 63) - 1
#: Letters of a pattern; it is tiled, and stands in the name of files.
_MOST_LETTERS = 64
#: Counts: 1 to ``MOST``.
SIZES = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size", "batch", "accumulation")
_CHOICES = {
    "model": allowed.MODELS,
    "dtype": allowed.DTYPES,
    "compile": allowed.COMPILE_MODES,
    "optimizer": allowed.OPTIMIZERS,
    "allocator": allowed.ALLOCATORS,
    "cycle": allowed.CYCLES,
    "checkpointing": allowed.CHECKPOINTING,
    "weights": allowed.WEIGHTS,
    "loss": allowed.LOSSES,
    "update": allowed.UPDATES,
    "sharding": allowed.SHARDINGS,
}


def check(config: StepFields) -> None:
    """
    Raises:
        RequestError: a field is of the wrong type or out of range, or fields do not go together.
    """
    _check_types(config)
    _check_ranges(config)
    _check_model(config)
    _check_methods(config)
    sharding.check(config)


def _check_types(config: StepFields) -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        expected = {"int": int, "bool": bool, "str": str}[str(field.type)]
        if type(value) is not expected:
            raise RequestError(
                f"{field.name}: expected {expected.__name__}, found {value!r:.80}",
                hint=f"write {field.name} as {expected.__name__} in the matrix",
            )


def _check_ranges(config: StepFields) -> None:
    for name in SIZES:
        _within(name, getattr(config, name), 1, MOST)
    _within("seed", config.seed, 0, _MOST_SEED)
    _within("ranks", config.ranks, 1, sharding.MOST_RANKS)
    if config.n_embd % config.n_head:
        raise RequestError(
            f"n_embd: expected a multiple of n_head, found {config.n_embd} % {config.n_head} = "
            f"{config.n_embd % config.n_head}",
            hint="choose n_head among the divisors of n_embd",
        )
    for name, choices in _CHOICES.items():
        if getattr(config, name) not in choices:
            raise RequestError(
                f"{name}: expected one of {', '.join(choices)}, found {getattr(config, name)!r:.80}"
            )


def _within(name: str, value: int, least: int, most: int) -> None:
    if value < least:
        raise RequestError(f"{name}: expected at least {least}, found {_digits(value)}")
    if value > most:
        raise RequestError(f"{name}: expected at most {most}, found {_digits(value)}")


def _digits(value: int) -> str:
    """An integer, or how long it is: Python writes no more than 4,300 digits."""
    return str(value) if value.bit_length() <= 256 else f"one of {value.bit_length()} bits"


def _check_model(config: StepFields) -> None:
    if config.model != "nanochat-2026" and config.window != "L":
        raise RequestError(
            f"window: expected L for {config.model}, found {config.window!r:.80}", hint="remove window"
        )
    if not 0 < len(config.window) <= _MOST_LETTERS or set(config.window) - set("SL"):
        raise RequestError(
            f"window: expected letters S and L, such as SSSL, {_MOST_LETTERS} at most, "
            f"found {config.window!r:.80}"
        )
    if config.model == "gpt2" and config.optimizer == "muon":
        raise RequestError(
            "optimizer: muon is nanochat's; expected an AdamW for gpt2", hint="set model or optimizer"
        )
    if config.model != "gpt2" and config.bias:
        raise RequestError(f"bias: {config.model} has none", hint="remove bias")
    if config.model != "gpt2" and config.n_embd // config.n_head % 2:
        raise RequestError(
            "n_head: expected heads of an even width for rotary embeddings, "
            f"found {config.n_embd // config.n_head}"
        )
    if config.model == "nanochat-2026" and (config.n_embd < SMEAR_CHANNELS or config.block_size < 2):
        raise RequestError(
            f"{config.model}: its smear gate reads {SMEAR_CHANNELS} channels of the token before; "
            f"found n_embd {config.n_embd}, block_size {config.block_size}",
            hint=f"set n_embd to at least {SMEAR_CHANNELS} and block_size to at least 2",
        )
    if config.model == "autoresearch" and config.n_embd < AUTORESEARCH_GATE_CHANNELS:
        raise RequestError(
            f"{config.model}: its gates read {AUTORESEARCH_GATE_CHANNELS} channels; "
            f"found n_embd {config.n_embd}",
            hint=f"set n_embd to at least {AUTORESEARCH_GATE_CHANNELS}",
        )
    if config.cycle == "whole" and config.model != "gpt2":
        raise RequestError(
            f"cycle: sampling of {config.model} is not written here",
            hint="set cycle to full, or model to gpt2",
        )
    if config.update == "backward" and config.accumulation != 1:
        raise RequestError(
            "update: in the backward there is nothing to accumulate in, "
            f"found accumulation {config.accumulation}",
            hint="set accumulation to 1 or update to step",
        )
    if config.update == "backward" and config.dtype == "fp16":
        raise RequestError(
            "update: in the backward the loss scaler cannot look at all gradients first",
            hint="set dtype to bf16",
        )
    if not 0 <= config.memory_budget <= 100:
        raise RequestError(f"memory_budget: expected 0 to 100 percent, found {_digits(config.memory_budget)}")
    if config.memory_budget != 100 and config.compile == "off":
        raise RequestError("memory_budget: works in a compiled step only", hint="set compile to default")


def _check_methods(config: StepFields) -> None:

    def refuse(problem: str, hint: str) -> None:
        raise RequestError(problem, hint=hint)

    if config.weights == "bf16" and config.dtype != "bf16":
        refuse(f"weights: bf16 are multiplied as bf16, found dtype {config.dtype}", "set dtype to bf16")
    if config.weights == "nf4-lora" and config.dtype not in ("bf16", "fp16"):
        refuse(f"weights: nf4-lora computes in 16 bits, found dtype {config.dtype}", "set dtype to bf16")
    if config.weights == "nf4-lora" and config.optimizer == "muon":
        refuse("optimizer: muon is for whole matrices, not for adapters", "set optimizer to adamw-fused")
    if config.update == "backward" and config.optimizer in ("muon", "adamw-offload"):
        refuse(
            f"update: {config.optimizer} works on many parameters at once, not on one in the backward",
            "set update to step, or another optimizer",
        )
    if config.optimizer == "adamw-offload" and config.dtype == "fp16":
        refuse(
            "optimizer: adamw-offload copies gradients before the loss scaler has unscaled them",
            "set dtype to bf16",
        )
    if config.optimizer == "adamw-offload" and config.cycle == "resume":
        refuse(
            "cycle: a checkpoint of adamw-offload can be made by a GPU run only",
            "set cycle to train or full",
        )
