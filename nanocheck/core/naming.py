"""The stable name of a configuration, such as ``gpt2-576-b16-a32-bf16-compile``."""

from __future__ import annotations

from nanocheck.core.architectures import nanochat, usual
from nanocheck.core.step_fields import StepFields

_COMPILE_WORD = {"off": "eager", "default": "compile", "reduce-overhead": "cudagraphs"}
#: Fields that a name carries only where they differ from their defaults, with a word before the value.
_NAMED_ONLY_IF_OTHER = {
    "optimizer": "",
    "allocator": "",
    "cycle": "",
    "window": "w",
    "checkpointing": "checkpoint-",
    "weights": "weights-",
    "loss": "loss-",
    "update": "update-in-",
    "memory_budget": "budget",
    "ranks": "r",
    "sharding": "",
}


def configuration_id(config: StepFields) -> str:
    """Stable, unique name.

    Width, batch, accumulation, dtype and compile mode are always there; any other field appears only where
    it differs from its default, so that old names survive new fields.
    """
    parts = list(_model_and_sizes(config))
    if config.bias:
        parts.append("bias")
    parts += [f"b{config.batch}", f"a{config.accumulation}", config.dtype, _COMPILE_WORD[config.compile]]
    for name, word in _NAMED_ONLY_IF_OTHER.items():
        value = getattr(config, name)
        if value != usual(config.model, name):
            parts.append(word + str(value).removeprefix("adamw-"))
    if config.seed != StepFields.seed:
        parts.append(f"s{config.seed}")
    return "-".join(parts)


def _model_and_sizes(config: StepFields) -> tuple[str, ...]:
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
