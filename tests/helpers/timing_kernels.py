"""Kernel lists and cards to try the model of time on."""

from __future__ import annotations

from hypothesis import strategies as st

from nanocheck.core.gpus import load_catalog
from nanocheck.core.kernels import Attention, Kernel, KernelKind, KernelList, Part, Product, Touched
from nanocheck.timing.card import Card

CARDS = [Card.of(gpu) for gpu in load_catalog().values()]
DTYPES = ("bfloat16", "float16", "tf32", "float32")
SIZES = {"bfloat16": 2, "float16": 2, "tf32": 4, "float32": 4}
MEMORY_KINDS = [
    KernelKind.NORM,
    KernelKind.SOFTMAX,
    KernelKind.REDUCTION,
    KernelKind.ELEMENTWISE,
    KernelKind.GATHER,
    KernelKind.TRITON,
    KernelKind.OPTIMIZER,
]


def product_kernel(m: int, n: int, k: int, batch: int = 1, dtype: str = "bfloat16") -> Kernel:
    size = SIZES[dtype]
    return Kernel(
        kind=KernelKind.PRODUCT,
        name="mm",
        phase="forward",
        dtype=dtype,
        operations=2.0 * m * n * k * batch,
        read=size * batch * (m * k + k * n),
        written=size * batch * m * n,
        product=Product(m=m, n=n, k=k, batch=batch),
    )


def memory_kernel(kind: KernelKind, size: int, storage: int = 0) -> Kernel:
    touched = (
        Touched(storage=storage, size=size, read=True),
        Touched(storage=storage + 1, size=size, written=True),
    )
    return Kernel(
        kind=kind, name="op", phase="forward", dtype="float32", read=size, written=size, touched=touched
    )


def attention_kernel(batch: int, heads: int, length: int, head: int, *, backward: bool, dtype: str) -> Kernel:
    work = (5 if backward else 2) * 2.0 * batch * heads * length**2 * head / 2
    one = batch * heads * length * head * SIZES[dtype]
    return Kernel(
        kind=KernelKind.ATTENTION,
        name="flash",
        phase="backward" if backward else "forward",
        dtype=dtype,
        operations=work,
        read=3 * one,
        written=one,
        attention=Attention(
            backend="flash",
            batch=batch,
            heads=heads,
            key_heads=heads,
            queries=length,
            keys=length,
            head=head,
            causal=True,
            masked=False,
            backward=backward,
        ),
    )


def step(*parts: tuple[list[Kernel], int]) -> KernelList:
    named = tuple(Part(name=str(at), kernels=tuple(ks), times=n) for at, (ks, n) in enumerate(parts))
    return KernelList(parts=named, torch="test", capability=(8, 0), tokens=1024, parameters=10**6)


dims = st.integers(1, 20_000)
kernels = st.one_of(
    st.builds(product_kernel, dims, dims, dims, st.integers(1, 64), st.sampled_from(DTYPES)),
    st.builds(memory_kernel, st.sampled_from(MEMORY_KINDS), st.integers(0, 2**32), st.integers(0, 8)),
    st.builds(
        attention_kernel,
        st.integers(1, 64),
        st.integers(1, 64),
        st.integers(1, 8192),
        st.sampled_from((32, 64, 128)),
        backward=st.booleans(),
        dtype=st.sampled_from(DTYPES),
    ),
)
steps = st.lists(
    st.tuples(st.lists(kernels, min_size=1, max_size=8), st.integers(1, 40)), min_size=1, max_size=3
).map(lambda parts: step(*parts))
cards = st.sampled_from(CARDS)
