"""What a training step asks the card to compute: its kernels in the order of issue.

Between the room that records them and the room that turns them into seconds. A list belongs to no card, but
for the choice of attention kernels, which hangs on the compute capability.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

import msgspec

# ``gc=False``: a list has hundreds of thousands of these, none can be part of a cycle, and looking for one
# took half the time of an estimate.


class KernelKind(StrEnum):
    """By what decides how long a kernel takes."""

    PRODUCT = "matrix product"
    ATTENTION = "attention"  # fused: flash, memory-efficient or cuDNN
    NORM = "norm"  # layer and RMS norms of PyTorch's own
    SOFTMAX = "softmax"  # and log-softmax, cross entropy
    REDUCTION = "reduction"
    ELEMENTWISE = "elementwise"  # casts and copies on the card among them
    GATHER = "gather"  # rows chosen by an index, read or added to
    TRITON = "generated"  # by Inductor
    OPTIMIZER = "optimizer"  # one launch for many parameters
    TRANSFER = "transfer"  # between host and card
    WAIT = "wait"  # the host reads a value, or synchronises: it waits for all that was issued


class Touched(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A part of a storage that a kernel reads, writes or both; ``size`` in bytes."""

    storage: int
    size: int
    read: bool = False
    written: bool = False


class Product(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """``batch`` products (m, k) x (k, n), in elements."""

    m: int
    n: int
    k: int
    batch: int = 1


class Attention(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Sizes in elements; ``queries`` and ``keys`` are lengths of sequences, ``head`` the size of one."""

    backend: str  # flash, efficient or cudnn
    batch: int
    heads: int
    key_heads: int
    queries: int
    keys: int
    head: int
    causal: bool
    masked: bool
    backward: bool


class Kernel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One operator's work on the card.

    Attributes:
        name: PyTorch's name of the operator, or the generated kernel's.
        phase: of the step, as everywhere: forward, backward, optimizer, ...
        dtype: of what it computes with, as torch writes it without ``torch.``; TF32 is ``tf32``.
        operations: floating-point operations of products and attention (a multiply and an add are two), the
            half that a causal mask hides left out; 0 for all others, which memory decides.
        read, written: bytes moved to and from the card's memory, each input read and output written once.
        launches: kernels that PyTorch launches for it.
        touched: the storages behind ``read`` and ``written``, for what L2 still holds.
    """

    kind: KernelKind
    name: str
    phase: str
    dtype: str
    operations: float = 0.0
    read: int = 0
    written: int = 0
    launches: int = 1
    product: Product | None = None
    attention: Attention | None = None
    touched: tuple[Touched, ...] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a step that runs ``times`` times in it: a first micro-batch, the others, the update."""

    name: str
    kernels: tuple[Kernel, ...]
    times: int = 1


class KernelList(msgspec.Struct, frozen=True, kw_only=True):
    """One optimizer step.

    Attributes:
        tokens: that the step trains on in this process, padding among them, where it is known.
        no_tokens: where it is not, why.
        parameters: elements of the model's parameters, where it is known.
        compiled: whether any of it is generated code.
        capability: of the card on which attention's kernels were chosen.
    """

    parts: tuple[Part, ...]
    torch: str
    capability: tuple[int, int]
    compiled: bool = False
    tokens: int | None = None
    no_tokens: str | None = None
    parameters: int | None = None

    def __iter__(self) -> Iterator[tuple[Kernel, int]]:
        """Each kernel, with how many times a step issues it."""
        for part in self.parts:
            for kernel in part.kernels:
                yield kernel, part.times
