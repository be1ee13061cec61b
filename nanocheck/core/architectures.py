"""The architectures: names, sizes and limits of each; their modules are in ``step``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nanocheck.core import methods
from nanocheck.core.errors import RequestError
from nanocheck.core.shapes import parameter_shapes

if TYPE_CHECKING:
    from nanocheck.core.config import StepConfig

NAMES = ("gpt2", "nanochat-2025", "nanochat-2026", "autoresearch")

HEAD_WIDTH = 128
#: Channels that the gates of nanochat-2026 read.
SMEAR_CHANNELS, GATE_CHANNELS = 24, 12
#: Channels that the gates of autoresearch read.
AUTORESEARCH_GATE_CHANNELS = 32
#: What a nanochat has where nothing else is said: vocabulary, context and optimizer of its releases. Windows
#: of autoresearch are FlashAttention 3's alone: with PyTorch's attention every layer looks at all before.
_NANOCHAT: dict[str, dict[str, Any]] = {
    "nanochat-2025": {"vocab_size": 65536, "block_size": 2048, "optimizer": "muon"},
    "nanochat-2026": {"vocab_size": 32768, "block_size": 2048, "optimizer": "muon", "window": "SSSL"},
    "autoresearch": {"vocab_size": 8192, "block_size": 2048, "optimizer": "muon"},
}


def nanochat(depth: int, release: str) -> dict[str, int]:
    """Layers, heads and width of a nanochat of some depth, as its ``base_train.py`` derives them.

    October 2025: width 64 x depth, one head for each begun 128 of it. Mid-2026 and autoresearch: the width is
    rounded up to a multiple of the head's 128. Sources: named in ``step/nanochat``.
    """
    width = 64 * depth
    heads = -(-width // HEAD_WIDTH)
    if release != "nanochat-2025":
        width = heads * HEAD_WIDTH
    return {"n_layer": depth, "n_head": heads, "n_embd": width}


def given(data: Mapping[str, Any]) -> dict[str, Any]:
    """What the model of plain data decides, where the data says nothing itself."""
    model, depth = data.get("model", "gpt2"), data.get("n_layer", 12)
    if model not in _NANOCHAT or type(depth) is not int:
        return {}
    return {**_NANOCHAT[model], **nanochat(depth, model)}


def usual(model: str, field: str) -> Any:
    """The value that a configuration's name leaves out."""
    from nanocheck.core.config import StepConfig

    return _NANOCHAT.get(model, {}).get(field, getattr(StepConfig, field))


def name_parts(config: StepConfig) -> tuple[str, ...]:
    """The first words of a configuration's name: model and sizes."""
    if config.model == "gpt2":
        sizes = (("l", "n_layer"), ("h", "n_head"), ("t", "block_size"), ("v", "vocab_size"))
        head = f"gpt2-{config.n_embd}"
    else:
        sizes = (("h", "n_head"), ("c", "n_embd"), ("t", "block_size"), ("v", "vocab_size"))
        head = f"{config.model}-d{config.n_layer}"
    own = nanochat(config.n_layer, config.model) if config.model != "gpt2" else {}
    parts = [head]
    for letter, name in sizes:
        if getattr(config, name) != own.get(name, usual(config.model, name)):
            parts.append(f"{letter}{getattr(config, name)}")
    return tuple(parts)


def check(config: StepConfig) -> None:
    """
    Raises:
        RequestError: the fields do not go together.
    """
    if config.model != "nanochat-2026" and config.window != "L":
        raise RequestError(
            f"window: expected L for {config.model}, found {config.window!r}", hint="remove window"
        )
    if not config.window or set(config.window) - set("SL"):
        raise RequestError(f"window: expected letters S and L, such as SSSL, found {config.window!r}")
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
        raise RequestError(f"memory_budget: expected 0 to 100 percent, found {config.memory_budget}")
    if config.memory_budget != 100 and config.compile == "off":
        raise RequestError("memory_budget: works in a compiled step only", hint="set compile to default")
    methods.check(config)


def parameters(config: StepConfig) -> int:
    """Number of parameters by formula, each counted once."""
    return sum(math.prod(shape) for shape in parameter_shapes(config))
