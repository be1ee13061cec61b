"""The small step whose bytes tests of closed forms compare, phase by phase."""

from __future__ import annotations

from collections.abc import Callable

#: Fields of a configuration in, requested bytes by phase out: see ``method_tasks.held``.
Held = Callable[..., dict[str, int]]
SMALL = {"n_layer": 2, "n_head": 4, "n_embd": 64, "block_size": 64, "vocab_size": 1000, "batch": 2}
