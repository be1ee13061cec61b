"""What to run: one configuration of the reference training step, and its stable name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nanocheck.core import architectures
from nanocheck.core.errors import RequestError

DTYPES = ("fp32", "tf32", "bf16", "fp16")
COMPILE_MODES = ("off", "default", "reduce-overhead")
ADAMWS = ("adamw-fused", "adamw-foreach", "adamw-loop")
#: Less state than two fp32 numbers a parameter, or state in the host's memory.
SMALL_OPTIMIZERS = ("adamw-8bit", "adamw-8bit-paged", "adamw-4bit", "adamw-offload")
OPTIMIZERS = (*ADAMWS, *SMALL_OPTIMIZERS, "muon")
ALLOCATORS = ("default", "expandable")
CYCLES = ("train", "full", "whole", "resume")
CHECKPOINTING = ("none", "block", "selective")
WEIGHTS = ("fp32", "bf16", "nf4-lora")
LOSSES = ("full", "chunked")
UPDATES = ("step", "backward")

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
}
#: Fields of schema 1, always written; later ones are written only where they differ from their defaults, so
#: that what was stored before they existed still is the same configuration.
_SIZES = ("n_layer", "n_head", "n_embd", "block_size", "vocab_size", "batch", "accumulation")
_ALWAYS_WRITTEN = frozenset(
    (*_SIZES, "bias", "dtype", "compile", "optimizer", "allocator", "cycle", "seed"),
)


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """One configuration of the reference GPT training step.

    Attributes:
        model: ``gpt2``, ``nanochat-2025`` (the release of October 2025), ``nanochat-2026`` (its state of
            mid-2026) or ``autoresearch`` (the script that was made of nanochat). In plain data the depth of
            the last three decides width and heads: see ``models.nanochat``.
        n_layer, n_head, n_embd: transformer blocks, attention heads, width (``n_embd % n_head == 0``).
        block_size: tokens per sequence, T.
        vocab_size: rows of the embedding, V (50304 is GPT-2's 50257 padded, as nanoGPT does).
        bias: biases in the linear layers and layer norms.
        batch: sequences per micro-batch, B.
        accumulation: micro-batches per optimizer step; the loss is divided by it.
        dtype: ``fp32`` (TF32 off), ``tf32`` (fp32 with TF32 matmuls), ``bf16`` or ``fp16`` autocast
            (``fp16`` with a GradScaler). ``nanochat-2026`` has no autocast: it casts weights to this dtype
            where it uses them.
        compile: ``torch.compile`` mode; ``reduce-overhead`` uses CUDA graphs.
        optimizer: which AdamW implementation (``adamw-8bit`` and its paged form are bitsandbytes', 4-bit and
            offload torchao's), or ``muon``: nanochat's pair of Muon for matrices and AdamW for the rest.
        allocator: ``default``, or ``expandable`` for ``expandable_segments:True``.
        cycle: ``train``: optimizer steps only. ``full``: evaluation first, as nanoGPT does, then
            steps, evaluation and a checkpoint save. ``whole``: the same with sampling before the save.
            ``resume``: starts by loading a checkpoint.
        seed: of the weights and of the data.
        window: nanochat-2026's pattern of attention windows, tiled over the layers: L full, S short.
        checkpointing: activations that the backward computes again: ``none``, whole blocks (``block``), or
            all but matrix products and attention (``selective``).
        weights: ``fp32`` master weights, ``bf16`` ones (then gradients and state are bf16, too), or
            ``nf4-lora``: 4-bit weights that stay as they are, and small trained adapters. The last is
            fine-tuning, not pretraining.
        loss: ``full`` logits, or ``chunked``: logits of a part of the tokens at a time.
        update: parameters change in the optimizer's ``step``, or as soon as the ``backward`` has their
            gradient, which is then dropped (accumulation 1 only, no clipping).
        memory_budget: percent of the activations that a compiled step may keep, AOTAutograd's
            ``activation_memory_budget``; 100 leaves the choice to it.
    """

    model: str = "gpt2"
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    block_size: int = 1024
    vocab_size: int = 50304
    bias: bool = False
    batch: int = 8
    accumulation: int = 1
    dtype: str = "bf16"
    compile: str = "off"
    optimizer: str = "adamw-fused"
    allocator: str = "default"
    cycle: str = "train"
    seed: int = 1337
    window: str = "L"
    checkpointing: str = "none"
    weights: str = "fp32"
    loss: str = "full"
    update: str = "step"
    memory_budget: int = 100

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            expected = {"int": int, "bool": bool, "str": str}[str(field.type)]
            if type(value) is not expected:
                raise RequestError(
                    f"{field.name}: expected {expected.__name__}, found {value!r}",
                    hint=f"write {field.name} as {expected.__name__} in the matrix",
                )
        for name in _SIZES:
            if getattr(self, name) < 1:
                raise RequestError(f"{name}: expected at least 1, found {getattr(self, name)}")
        if self.seed < 0:
            raise RequestError(f"seed: expected 0 or more, found {self.seed}")
        if self.n_embd % self.n_head:
            raise RequestError(
                f"n_embd: expected a multiple of n_head, found {self.n_embd} % {self.n_head} = "
                f"{self.n_embd % self.n_head}",
                hint="choose n_head among the divisors of n_embd",
            )
        for name, allowed in (
            ("model", architectures.NAMES),
            ("dtype", DTYPES),
            ("compile", COMPILE_MODES),
            ("optimizer", OPTIMIZERS),
            ("allocator", ALLOCATORS),
            ("cycle", CYCLES),
            ("checkpointing", CHECKPOINTING),
            ("weights", WEIGHTS),
            ("loss", LOSSES),
            ("update", UPDATES),
        ):
            if getattr(self, name) not in allowed:
                raise RequestError(
                    f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}"
                )
        architectures.check(self)

    @property
    def id(self) -> str:
        """Stable, unique name, such as ``gpt2-576-b16-a32-bf16-compile``.

        Width, batch, accumulation, dtype and compile mode are always there; any other field
        appears only where it differs from its default, so that old names survive new fields.
        """
        parts = list(architectures.name_parts(self))
        if self.bias:
            parts.append("bias")
        parts += [f"b{self.batch}", f"a{self.accumulation}", self.dtype, _COMPILE_WORD[self.compile]]
        for name, word in _NAMED_ONLY_IF_OTHER.items():
            value = getattr(self, name)
            if value != architectures.usual(self.model, name):
                parts.append(word + str(value).removeprefix("adamw-"))
        if self.seed != StepConfig.seed:
            parts.append(f"s{self.seed}")
        return "-".join(parts)

    @property
    def parameters(self) -> int:
        """Number of parameters, each counted once; adapters are not among them."""
        return architectures.parameters(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        values = asdict(self)
        return {
            name: value
            for name, value in values.items()
            if name in _ALWAYS_WRITTEN or value != architectures.usual(self.model, name)
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepConfig:
        """The configuration of plain data.

        Raises:
            RequestError: a field is unknown, of the wrong type or out of range.
        """
        unknown = sorted(set(data) - {field.name for field in fields(cls)})
        if unknown:
            known = ", ".join(field.name for field in fields(cls))
            raise RequestError(
                f"unknown field {', '.join(map(repr, unknown))} in a configuration",
                hint=f"use these fields: {known}",
            )
        return cls(**{**architectures.given(data), **data})
