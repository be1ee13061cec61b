"""What to run: one configuration of the reference training step, and its stable name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from nanocheck.errors import RequestError

DTYPES = ("fp32", "tf32", "bf16", "fp16")
COMPILE_MODES = ("off", "default", "reduce-overhead")
OPTIMIZERS = ("adamw-fused", "adamw-foreach", "adamw-loop")
ALLOCATORS = ("default", "expandable")
CYCLES = ("train", "full", "resume")

_COMPILE_WORD = {"off": "eager", "default": "compile", "reduce-overhead": "cudagraphs"}


@dataclass(frozen=True, kw_only=True)
class StepConfig:
    """One configuration of the reference GPT training step.

    Attributes:
        n_layer, n_head, n_embd: transformer blocks, attention heads, width (``n_embd % n_head == 0``).
        block_size: tokens per sequence, T.
        vocab_size: rows of the tied embedding, V (50304 is GPT-2's 50257 padded, as nanoGPT does).
        bias: biases in the linear layers and layer norms.
        batch: sequences per micro-batch, B.
        accumulation: micro-batches per optimizer step; the loss is divided by it.
        dtype: ``fp32`` (TF32 off), ``tf32`` (fp32 with TF32 matmuls), ``bf16`` or ``fp16`` autocast
            (``fp16`` with a GradScaler).
        compile: ``torch.compile`` mode; ``reduce-overhead`` uses CUDA graphs.
        optimizer: which AdamW implementation.
        allocator: ``default``, or ``expandable`` for ``expandable_segments:True``.
        cycle: ``train``: optimizer steps only. ``full``: evaluation first, as nanoGPT does, then
            steps, evaluation and a checkpoint save. ``resume``: starts by loading a checkpoint.
        seed: of the weights and of the data.
    """

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

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            expected = {"int": int, "bool": bool, "str": str}[str(field.type)]
            if type(value) is not expected:
                raise RequestError(
                    f"{field.name}: expected {expected.__name__}, found {value!r}",
                    mend=f"write {field.name} as {expected.__name__} in the matrix",
                )
        for name in ("n_layer", "n_head", "n_embd", "block_size", "vocab_size", "batch", "accumulation"):
            if getattr(self, name) < 1:
                raise RequestError(f"{name}: expected at least 1, found {getattr(self, name)}")
        if self.seed < 0:
            raise RequestError(f"seed: expected 0 or more, found {self.seed}")
        if self.n_embd % self.n_head:
            raise RequestError(
                f"n_embd: expected a multiple of n_head, found {self.n_embd} % {self.n_head} = "
                f"{self.n_embd % self.n_head}",
                mend="choose n_head among the divisors of n_embd",
            )
        for name, allowed in (
            ("dtype", DTYPES),
            ("compile", COMPILE_MODES),
            ("optimizer", OPTIMIZERS),
            ("allocator", ALLOCATORS),
            ("cycle", CYCLES),
        ):
            if getattr(self, name) not in allowed:
                raise RequestError(
                    f"{name}: expected one of {', '.join(allowed)}, found {getattr(self, name)!r}"
                )

    @property
    def id(self) -> str:
        """Stable, unique name, such as ``gpt2-576-b16-a32-bf16-compile``.

        Width, batch, accumulation, dtype and compile mode are always there; any other field
        appears only where it differs from its default, so that old names survive new fields.
        """
        parts = [f"gpt2-{self.n_embd}"]
        for letter, name in (("l", "n_layer"), ("h", "n_head"), ("t", "block_size"), ("v", "vocab_size")):
            if getattr(self, name) != getattr(StepConfig, name):
                parts.append(f"{letter}{getattr(self, name)}")
        if self.bias:
            parts.append("bias")
        parts += [f"b{self.batch}", f"a{self.accumulation}", self.dtype, _COMPILE_WORD[self.compile]]
        for name in ("optimizer", "allocator", "cycle"):
            if getattr(self, name) != getattr(StepConfig, name):
                parts.append(getattr(self, name).removeprefix("adamw-"))
        if self.seed != StepConfig.seed:
            parts.append(f"s{self.seed}")
        return "-".join(parts)

    @property
    def parameters(self) -> int:
        """Number of parameters, the tied embedding counted once, positions included."""
        c, bias = self.n_embd, int(self.bias)
        block = 12 * c * c + 2 * c + bias * (9 * c + 2 * c)
        return (self.vocab_size + self.block_size) * c + self.n_layer * block + c + bias * c

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

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
                mend=f"use these fields: {known}",
            )
        return cls(**data)
