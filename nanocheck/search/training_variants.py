"""The ways to train that are searched, and which of them a training script can be told without an edit."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from nanocheck.core import architectures
from nanocheck.core import step_fields as fields
from nanocheck.core.config import StepConfig
from nanocheck.core.errors import RequestError
from nanocheck.core.gpus import Gpu

#: Every word for a method, and the field of ``StepConfig`` that it sets.
WORDS: Mapping[str, tuple[str, Any]] = {
    **{each: ("dtype", each) for each in fields.DTYPES},
    "eager": ("compile", "off"),
    "compile": ("compile", "default"),
    "cudagraphs": ("compile", "reduce-overhead"),
    "default": ("allocator", "default"),
    "expandable": ("allocator", "expandable"),
    **{each.removeprefix("adamw-"): ("optimizer", each) for each in fields.OPTIMIZERS},
    **{f"checkpoint-{each}": ("checkpointing", each) for each in fields.CHECKPOINTING if each != "none"},
    **{f"{each}-loss": ("loss", each) for each in fields.LOSSES},
    **{f"weights-{each}": ("weights", each) for each in fields.WEIGHTS},
    "update-in-backward": ("update", "backward"),
    **{each: ("sharding", each) for each in fields.SHARDINGS if each != "none"},
}
#: What ``--change-script`` adds: methods that change no result beyond rounding, cheapest first.
CHANGES = ("chunked-loss", "8bit", "checkpoint-selective", "checkpoint-block")
#: And where there are several cards: nanoGPT's own way is ``ddp``.
SHARED = ("zero1", "fsdp2")

_METHODS = (
    "optimizer",
    "allocator",
    "checkpointing",
    "weights",
    "loss",
    "update",
    "memory_budget",
    "compile",
    "ranks",
    "sharding",
)


def method(text: str) -> dict[str, Any]:
    """Fields meant by words joined with ``+``, such as ``compile+expandable``.

    Raises:
        RequestError: an unknown word, or two that contradict each other.
    """
    found: dict[str, Any] = {}
    for word in text.split("+"):
        if word.strip() not in WORDS:
            raise RequestError(
                f"--methods: expected words joined by +, found {word.strip()!r} in {text!r}",
                hint=f"use these words: {', '.join(WORDS)}",
            )
        field, value = WORDS[word.strip()]
        if found.setdefault(field, value) != value:
            raise RequestError(
                f"--methods: expected one {field} in {text!r}, found {found[field]} and {value}"
            )
    return found


def name(config: StepConfig) -> str:
    """A configuration's methods in the words of ``WORDS``; usual ones are left out."""
    words = [config.dtype, {"off": "eager", "default": "compile"}.get(config.compile, "cudagraphs")]
    for word, (field, value) in WORDS.items():
        if field not in ("dtype", "compile") and getattr(config, field) == value:
            words += [word] if value != architectures.usual(config.model, field) else []
    return " ".join(words)


@dataclass(frozen=True)
class Way:
    """A way to train: variants that do the same operations in formats of one size.

    Attributes:
        variants: configurations of batch and accumulation 1, simplest first.
        expressible: whether it may be an answer: the model's own script can be told so, or may be changed.
    """

    variants: tuple[StepConfig, ...]
    expressible: bool


def ways(
    base: StepConfig,
    gpu: Gpu,
    *,
    dtypes: Sequence[str] = (),
    methods: Sequence[str] = (),
    modes: Sequence[str] = ("default", "off"),
    change_script: bool = False,
    cards: int = 1,
) -> list[Way]:
    """Every way to search, those with the fewest methods first.

    Args:
        base: the model; its other fields are the script's own.
        dtypes: those asked for; without any, bf16 and fp16, or fp16 alone on a card without bf16.
        methods: words, or words joined by ``+``, that may be set beside the script's own; without any,
            ``CHANGES`` where the script may be changed, and ``SHARED`` where there are several cards.
        modes: of ``torch.compile``.
        change_script: whether ways may be answers that need an edit of the script.
        cards: that the machine has: each is a rank's.

    Raises:
        RequestError: an unknown dtype or method; several cards and a model that ranks do not share here; or
            a method that the script cannot be told, without
            ``change_script``.
    """
    for each in dtypes:
        if each not in fields.DTYPES:
            raise RequestError(f"--dtype: expected one of {', '.join(fields.DTYPES)}, found {each!r}")
    offered = (*CHANGES, *SHARED) if cards > 1 else CHANGES
    words = methods or (offered if change_script else ())
    extra = {text: method(text) for text in words}
    usual = script(shared(base, cards))
    for text, changes in extra.items():
        if not change_script and not expressible(replace(usual, **changes)):
            raise RequestError(
                f"--methods: {text} needs an edit of the training script", hint="add --change-script"
            )
    chosen = tuple(dtypes) or (("bf16", "fp16") if gpu.bf16_tflops is not None else ("fp16",))
    found = []
    for changes in _choices(extra.values()):
        for mode in modes if "compile" not in changes else (changes["compile"],):
            variants = _variants(usual, {**changes, "compile": mode}, chosen)
            if not change_script:
                variants = tuple(filter(expressible, variants)) or variants
            if variants:
                found.append(Way(variants, change_script or all(map(expressible, variants))))
    return found


def script(base: StepConfig) -> StepConfig:
    """The model as its own script trains it: nanochat's ``base_train.py`` and autoresearch's ``train.py``
    compile, and ask for expandable segments themselves."""
    return base if base.model == "gpt2" else replace(base, compile="default", allocator="expandable")


def shared(base: StepConfig, cards: int) -> StepConfig:
    """The model as so many ranks train it unless told otherwise: each has all of it.

    Raises:
        RequestError: how ranks share this model is not written here.
    """
    return base if cards == 1 else replace(base, ranks=cards, sharding="ddp", cycle="train")


def expressible(config: StepConfig) -> bool:
    """Whether the model's own script can be told so by its settings and the environment.

    nanoGPT's ``train.py`` takes dtype and compile, and the allocator listens to the environment; under
    torchrun it wraps the model in DistributedDataParallel. nanochat
    and autoresearch always compile; autoresearch and the nanochat of October 2025 always run in bf16. None
    has a word for another optimizer, for checkpointing or for the loss.
    """
    free: dict[str, Any] = {"dtype": config.dtype}
    if config.model == "gpt2":
        free["allocator"] = config.allocator
        free |= {"ranks": config.ranks, "sharding": "ddp" if config.ranks > 1 else "none"}
        free["compile"] = config.compile if config.compile in ("off", "default") else "off"
    elif config.model != "nanochat-2026":
        free["dtype"] = "bf16"
    own = StepConfig.from_dict(
        {**config.to_dict(), **{each: architectures.usual(config.model, each) for each in _METHODS}}
    )
    return replace(script(own), **free) == config


def _choices(extra: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every combination of methods that do not set the same field, the smallest first."""
    found: list[dict[str, Any]] = [{}]
    for each in extra:
        found += [{**one, **each} for one in found if not one.keys() & each.keys()]
    return sorted(found, key=len)


def _variants(usual: StepConfig, changes: Mapping[str, Any], dtypes: Sequence[str]) -> tuple[StepConfig, ...]:
    allocators = ["default", "expandable"] if usual.allocator == "default" else [usual.allocator]
    if "allocator" in changes:
        allocators = [changes["allocator"]]
    found = []
    for dtype, allocator in product(dtypes if "dtype" not in changes else [changes["dtype"]], allocators):
        # Not all methods go together: a combination that none can run is not searched.
        with contextlib.suppress(RequestError):
            found.append(replace(usual, **{**changes, "dtype": dtype, "allocator": allocator}))
    return tuple(found)
