"""The architectures: names, sizes and limits of each; their modules are in ``step``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nanocheck.core.step_fields import StepFields

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
    if type(model) is not str or model not in _NANOCHAT or type(depth) is not int:
        return {}
    return {**_NANOCHAT[model], **nanochat(depth, model)}


def usual(model: str, field: str) -> Any:
    """The value that a configuration's name leaves out."""
    return _NANOCHAT.get(model, {}).get(field, getattr(StepFields, field))
