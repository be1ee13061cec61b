"""Memory-saving methods by name: what each saves and costs, by formula. Imports no torch.

A method is one value of one field of ``StepConfig``; ``nanocheck.step.methods`` runs them. Everything here
is *computed*: bytes as tensors ask for them, before the allocator rounds them up to 512. What a step really
needs is what a run of it says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from nanocheck.core import memory_formulas
from nanocheck.core.step_fields import StepFields

#: Keeps the type: a ``StepConfig`` with a method is a ``StepConfig``.
Fields = TypeVar("Fields", bound=StepFields)

#: Command that installs the libraries of all methods.
INSTALL = 'pip install "pytest-nanocheck[methods]"'

#: Models whose own scripts do not clip gradients.
_NEVER_CLIPPED = ("nanochat-2026", "autoresearch")

#: How far the trained weights are from those of plain AdamW on the same data.
SAME, CLOSE, OTHER = "same", "close", "other"


@dataclass(frozen=True, kw_only=True)
class Method:
    """One value of one field, against the field's default.

    Attributes:
        field, value: of ``StepConfig``; ``memory_budget`` stands for every value below 100.
        title: for people.
        saves: what is saved, as a formula in bytes.
        saved_bytes: that formula; ``None`` where there is none, because a solver or a compiler decides.
        exact: the formula is what tensors really ask for, not an estimate of what was alive at the peak.
        costs: what it costs, in operations or otherwise.
        extra_flops: further floating-point operations of one optimizer step.
        trains_all: every weight of the model is trained.
        update: ``same``: bit for bit plain AdamW's, with the caveat in ``costs`` if there is one; ``close``:
            approximated or rounded otherwise; ``other``: another optimisation, such as without clipping.
        package: what it needs beside PyTorch; empty: nothing.
    """

    field: str
    value: str | int
    title: str
    saves: str
    saved_bytes: Callable[[StepFields], int | None]
    exact: bool
    costs: str
    extra_flops: Callable[[StepFields], int]
    trains_all: bool = True
    update: str = SAME
    package: str = ""

    def applied_to(self, config: Fields) -> Fields:
        """The same configuration with this method.

        Raises:
            RequestError: it does not go with another field.
        """
        return replace(config, **{self.field: self.value})  # type: ignore[arg-type]

    def used_by(self, config: StepFields) -> bool:
        """Whether the configuration uses it."""
        found = getattr(config, self.field)
        return bool(found < 100 if self.field == "memory_budget" else found == self.value)


def _nothing(config: StepFields) -> int:
    return 0


def _unknown(config: StepFields) -> None:
    return None


def _less(part: Callable[[StepFields], int], **method: str) -> Callable[[StepFields], int]:
    """Bytes of one part without the method, less those with it."""

    def saved(config: StepFields) -> int:
        plain = {name: "adamw-fused" if name == "optimizer" else "fp32" for name in method}
        return part(replace(config, **plain)) - part(replace(config, **method))  # type: ignore[arg-type]

    return saved


def _recompute_blocks(config: StepFields) -> int:
    return config.accumulation * memory_formulas.recomputed_block_flops(config)


METHODS = (
    Method(
        field="checkpointing",
        value="block",
        title="activation checkpointing, whole blocks",
        saves="the activations of all blocks but one; of every other block its input stays, B T C numbers",
        saved_bytes=_unknown,
        exact=False,
        costs="the forward of the blocks once more, but for each block's last matrix product",
        extra_flops=_recompute_blocks,
    ),
    Method(
        field="checkpointing",
        value="selective",
        title="activation checkpointing, all but matrix products and attention",
        saves="norms, casts and activation functions of all blocks but one; outputs of matrix products stay",
        saved_bytes=_unknown,
        exact=False,
        costs="elementwise operations of the blocks once more; no matrix product",
        extra_flops=_nothing,
    ),
    Method(
        field="memory_budget",
        value=50,
        title="activation memory budget of the compiler",
        saves="activations that AOTAutograd's solver chooses; not monotonic in the percentage",
        saved_bytes=_unknown,
        exact=False,
        costs="what the solver chooses to compute again, at most one more forward",
        extra_flops=_nothing,
    ),
    Method(
        field="loss",
        value="chunked",
        title="head and loss on a part of the tokens at a time",
        saves="(1 - 1/n) of the logits and their gradients: about 12 B T V bytes (fp32: 16), n = 8",
        saved_bytes=memory_formulas.chunked_loss_saving,
        exact=False,
        costs="the head's matrix product once more: 2 B T C V",
        extra_flops=lambda config: config.accumulation * memory_formulas.head_flops(config),
        update=CLOSE,
    ),
    Method(
        field="optimizer",
        value="adamw-8bit",
        title="8-bit AdamW (bitsandbytes)",
        saves="8 P - (2 P + 8 P / 256) bytes; tensors below 4096 numbers keep fp32 state",
        saved_bytes=_less(memory_formulas.state_bytes, optimizer="adamw-8bit"),
        exact=True,
        costs="state rounded to 8 bits in blocks of 256",
        extra_flops=_nothing,
        update=CLOSE,
        package="bitsandbytes",
    ),
    Method(
        field="optimizer",
        value="adamw-8bit-paged",
        title="8-bit AdamW in managed memory (bitsandbytes)",
        saves="8 P - 8 P / 256 bytes of PyTorch's; 2 P lie in managed memory, on the GPU while there is room",
        saved_bytes=_less(memory_formulas.state_bytes, optimizer="adamw-8bit-paged"),
        exact=True,
        costs="as 8-bit; pages move over PCIe when the GPU is full",
        extra_flops=_nothing,
        update=CLOSE,
        package="bitsandbytes",
    ),
    Method(
        field="optimizer",
        value="adamw-4bit",
        title="4-bit AdamW (torchao)",
        saves="8 P - (P + 8 P / 128) bytes; tensors below 4096 numbers keep fp32 state",
        saved_bytes=_less(memory_formulas.state_bytes, optimizer="adamw-4bit"),
        exact=True,
        costs="state rounded to 4 bits in blocks of 128; its step is compiled once per shape",
        extra_flops=_nothing,
        update=CLOSE,
        package="torchao",
    ),
    Method(
        field="optimizer",
        value="adamw-offload",
        title="AdamW on the host (torchao)",
        saves="8 P bytes; the host needs 16 P of pinned memory: weights, gradients and state",
        saved_bytes=_less(memory_formulas.state_bytes, optimizer="adamw-offload"),
        exact=True,
        costs="gradients to the host and weights back each step, 8 P bytes over PCIe; no gradient clipping",
        extra_flops=_nothing,
        update=OTHER,
        package="torchao",
    ),
    Method(
        field="weights",
        value="bf16",
        title="weights, gradients and state in bf16",
        saves="8 P bytes: 2 P of weights, 2 P of gradients, 4 P of AdamW's state; bf16 residuals too",
        saved_bytes=_less(memory_formulas.static_bytes, weights="bf16"),
        exact=True,
        costs="updates are rounded to 8 bits of mantissa, without stochastic rounding: small ones are lost",
        extra_flops=_nothing,
        update=CLOSE,
    ),
    Method(
        field="weights",
        value="nf4-lora",
        title="4-bit base with trained adapters (QLoRA): fine-tuning, not pretraining",
        saves="gradients and state of all but the adapters, and 3.5 bytes of each blocks' weight",
        saved_bytes=_less(memory_formulas.static_bytes, weights="nf4-lora"),
        exact=True,
        costs="only adapters of rank 16 are trained; 4-bit weights are unpacked at each use",
        extra_flops=_nothing,
        trains_all=False,
        update=OTHER,
        package="bitsandbytes",
    ),
    Method(
        field="update",
        value="backward",
        title="update in the backward, gradients dropped at once",
        saves="all gradients but one: 4 P less its bytes, if the eager backward peaks at its end",
        saved_bytes=lambda config: (
            memory_formulas.gradient_bytes(replace(config, update="step"))
            - memory_formulas.gradient_bytes(replace(config, update="backward"))
        ),
        exact=False,
        costs="no clipping, no accumulation; a compiled backward hands over all gradients at its end",
        extra_flops=_nothing,
        update=OTHER,
    ),
    Method(
        field="allocator",
        value="expandable",
        title="expandable segments",
        saves="fragmentation: reserved bytes that no tensor can use",
        saved_bytes=_unknown,
        exact=False,
        costs="nothing but mapping calls",
        extra_flops=_nothing,
    ),
)


def used(config: StepFields) -> tuple[Method, ...]:
    """The methods of a configuration, in the table's order."""
    return tuple(method for method in METHODS if method.used_by(config))


def clips(config: StepFields) -> bool:
    """Whether clipping gradients before the step can have an effect."""
    if config.model in _NEVER_CLIPPED:
        return False
    return config.update == "step" and config.optimizer != "adamw-offload"


def compiles(config: StepFields) -> bool:
    """Whether anything of the step goes through ``torch.compile``: the model, or the optimizer's step."""
    return config.compile != "off" or config.optimizer == "adamw-4bit"


def imports_compiler(config: StepFields) -> bool:
    """Whether the step imports Inductor, which takes seconds: bitsandbytes does whenever it is imported."""
    return compiles(config) or any(method.package for method in used(config))


def notes(config: StepFields) -> tuple[str, ...]:
    """What a reader of a result must know about the methods that it used."""
    found = []
    if config.weights == "nf4-lora":
        found.append(
            "fine-tuning, not pretraining: 4-bit weights stay as they are, only adapters are trained"
        )
    if not clips(config) and config.model not in _NEVER_CLIPPED:
        found.append("gradients are not clipped: none of them waits for the others")
    if config.optimizer == "adamw-offload":
        host = memory_formulas.host_bytes(config)
        found.append(f"the host holds {host / 2**20:,.0f} MiB of pinned memory (computed)")
    managed = memory_formulas.managed_bytes(config)
    if managed:
        found.append(f"{managed / 2**20:,.0f} MiB of state are in managed memory and in no peak (computed)")
    elif config.optimizer == "adamw-8bit-paged":
        found.append("a resumed state is not paged: bitsandbytes loads it to the GPU")
    return tuple(found)
