"""What would make it fit: settings of the same table that are safe on the same card, nearest first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

from nanocheck.core.config import StepConfig
from nanocheck.core.table import Setting

#: What makes it the same training task; all other fields are ways of doing it.
_TASK = ("model", "n_layer", "n_head", "n_embd", "block_size", "vocab_size", "bias", "window", "cycle")
_WAYS = tuple(each.name for each in fields(StepConfig) if each.name not in (*_TASK, "batch", "accumulation"))
_MOST = 3


def instead(setting: Setting, safe: Iterable[Setting], cards: int = 1) -> list[Setting]:
    """At most three: first the largest batch of the same way, then other ways at this batch, by how many
    fields they change; then other ways at a smaller batch.

    Args:
        safe: settings that are safe on the card.
        cards: of this kind that the machine has: ways of more ranks than these and the setting's are none.
    """
    most = max(cards, setting.config.ranks)
    here = [
        each
        for each in safe
        if _task(each) == _task(setting) and each.id != setting.id and each.config.ranks <= most
    ]
    at_most = [each for each in here if each.config.batch <= setting.config.batch]
    return sorted(at_most, key=lambda each: _far(each, setting))[:_MOST]


def _task(setting: Setting) -> Sequence[object]:
    return [getattr(setting.config, name) for name in _TASK]


def _far(other: Setting, setting: Setting) -> tuple[int, int, str]:
    changes = sum(getattr(other.config, name) != getattr(setting.config, name) for name in _WAYS)
    smaller = setting.config.batch - other.config.batch
    return (changes if not smaller else changes + 1, smaller, other.id)


def changes(setting: Setting, other: Setting) -> list[str]:
    """What to change to get from one to the other, such as ``batch = 4``."""
    names = ("batch", "accumulation", *_WAYS)
    return [
        f"{name} = {getattr(other.config, name)}"
        for name in names
        if getattr(setting.config, name) != getattr(other.config, name)
    ]
