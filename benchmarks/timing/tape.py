"""Kernels written down one after the other, by formula: for published models that cannot be recorded here."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from nanocheck.core.kernels import Attention, Kernel, KernelKind, Product, Touched

SIZE = {"float32": 4, "tf32": 4, "bfloat16": 2, "float16": 2}


class Tensor:
    """A storage: its elements, and bytes of one."""

    _ids = itertools.count()

    def __init__(self, elements: float, size: int = 4) -> None:
        self.elements, self.size, self.id = elements, size, next(Tensor._ids)

    @property
    def bytes(self) -> int:
        return int(self.elements * self.size)


class Tape:
    """Collects kernels; ``phase`` goes into each."""

    def __init__(self, dtype: str, phase: str = "forward") -> None:
        self.dtype, self.phase = dtype, phase
        self.kernels: list[Kernel] = []

    def run(
        self,
        kind: KernelKind,
        name: str,
        reads: list[Tensor],
        writes: list[Tensor],
        *,
        launches: int = 1,
        operations: float = 0.0,
        product: Product | None = None,
        attention: Attention | None = None,
        dtype: str | None = None,
    ) -> Tensor:
        """One kernel; gives what it writes first."""
        touched = [Touched(storage=one.id, size=one.bytes, read=True) for one in reads]
        touched += [Touched(storage=one.id, size=one.bytes, written=True) for one in writes]
        self.kernels.append(
            Kernel(
                kind=kind,
                name=name,
                phase=self.phase,
                dtype=dtype or self.dtype,
                operations=operations,
                read=sum(one.bytes for one in reads),
                written=sum(one.bytes for one in writes),
                launches=launches,
                product=product,
                attention=attention,
                touched=tuple(touched),
            )
        )
        return writes[0] if writes else Tensor(0)

    def product(self, name: str, a: Tensor, b: Tensor, m: int, n: int, k: int, batch: int = 1) -> Tensor:
        """(m, k) x (k, n), ``batch`` times."""
        out = Tensor(m * n * batch, SIZE[self.dtype])
        one = Product(m=m, n=n, k=k, batch=batch)
        return self.run(
            KernelKind.PRODUCT, name, [a, b], [out], operations=2.0 * m * n * k * batch, product=one
        )

    def each(
        self, name: str, reads: list[Tensor], size: int | None = None, elements: float | None = None
    ) -> Tensor:
        """An elementwise kernel; its result is like its first input unless said otherwise."""
        like = reads[0]
        out = Tensor(like.elements if elements is None else elements, size or like.size)
        return self.run(KernelKind.ELEMENTWISE, name, reads, [out])

    def add_to(self, total: Tensor, more: Tensor) -> Tensor:
        """In place."""
        return self.run(KernelKind.ELEMENTWISE, "add_", [total, more], [total])

    def reduce(self, name: str, reads: list[Tensor], elements: float, size: int = 4) -> Tensor:
        return self.run(KernelKind.REDUCTION, name, reads, [Tensor(elements, size)])


#: Elements of one multi-tensor launch at the most: 320 blocks of 65,536 (PyTorch's MultiTensorApply.cuh).
_CHUNK = 320 * 65536


def adamw(parameters: int, *, fused: bool, clip: bool) -> tuple[Kernel, ...]:
    """Clipping and PyTorch's AdamW: one kernel, or one for each intermediate result."""
    tape = Tape("float32", "optimizer")
    launches = -(-parameters // _CHUNK)
    weights, grads, one, two, scratch = (Tensor(parameters) for _ in range(5))
    chain = [("_foreach_norm", [grads], [Tensor(1)]), ("_foreach_mul_", [grads], [grads])] if clip else []
    if fused:
        chain.append(("_fused_adamw_", [weights, grads, one, two], [weights, one, two]))
    else:
        chain += [
            ("_foreach_mul_", [weights], [weights]),
            ("_foreach_lerp_", [one, grads], [one]),
            ("_foreach_mul_", [two], [two]),
            ("_foreach_addcmul_", [two, grads], [two]),
            ("_foreach_sqrt", [two], [scratch]),
            ("_foreach_div_", [scratch], [scratch]),
            ("_foreach_add_", [scratch], [scratch]),
            ("_foreach_addcdiv_", [weights, one, scratch], [weights]),
        ]
    for name, reads, writes in chain:
        tape.run(KernelKind.OPTIMIZER, name, reads, writes, launches=launches)
    return tuple(tape.kernels)


def written_adamw(tensors: Sequence[int]) -> tuple[Kernel, ...]:
    """The loop over parameters of CS336's `cs336_basics/optimizer.py`: each result a tensor of its own."""
    tape = Tape("float32", "optimizer")
    for elements in tensors:
        weight, grad, one, two = (Tensor(elements) for _ in range(4))
        for _ in range(2):  # `state.get("m", torch.zeros_like(grad))` makes its zeros in every step
            tape.run(KernelKind.ELEMENTWISE, "fill_", [], [Tensor(elements)])
        first = tape.each("add", [tape.each("mul", [one]), tape.each("mul", [grad])])
        square = tape.each("mul", [tape.each("pow", [grad])])
        second = tape.each("add", [tape.each("mul", [two]), square])
        root = tape.each("add", [tape.each("sqrt", [second])])
        tape.run(
            KernelKind.ELEMENTWISE,
            "sub_",
            [weight, tape.each("div", [tape.each("mul", [first]), root])],
            [weight],
        )
        tape.run(KernelKind.ELEMENTWISE, "sub_", [weight, tape.each("mul", [weight])], [weight])
    return tuple(tape.kernels)
