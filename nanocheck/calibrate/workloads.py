"""What is measured, in this order: first what is worth most where the time does not suffice. Knows no torch.

Each card workload is the ``Kernel`` that a step's list would hold for it, so that a model of time can be
asked for the same thing. A product's ``layout``: ``nn`` is x[m, k] @ w[k, n], ``nt`` a linear layer's
x[m, k] @ w[n, k]^T, ``tn`` its weight gradient x[k, m]^T @ y[k, n].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nanocheck.core.kernels import Attention, Kernel, KernelKind, Product
from nanocheck.core.units import MIB

#: Why a workload was left out at the end.
USED_UP = "the time was used up (--seconds)"
#: Bytes of an element.
SIZES = {"bfloat16": 2, "float16": 2, "float32": 4, "tf32": 4}
#: GPT-2 124M: tokens of a micro-batch of 8, width, vocabulary as it is and padded to a multiple of 64.
TOKENS, WIDTH, VOCABULARY, PADDED = 8192, 768, 50257, 50304
#: Far more than the largest second-level cache of today (B200: 126 MB).
STREAM_BYTES = 512 * MIB
#: Tensors of an optimizer's pass, and elements of each: 128 Mi parameters.
OPTIMIZER_TENSORS, OPTIMIZER_ELEMENTS = 64, 2 * MIB


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Something to call many times.

    Attributes:
        make: which function of ``card_calls`` makes the call.
        kernel: what it is; None for the host's part.
        layout: of a product.
        by_host: timed by the host's clock, not by CUDA events.
        heats: it draws all power there is: the warm-up takes longer.
        needs_bytes: of the card's memory, at least.
    """

    id: str
    what: str
    make: str
    kernel: Kernel | None = None
    layout: str = ""
    by_host: bool = False
    heats: bool = False
    needs_bytes: int = 0


def workloads() -> tuple[Workload, ...]:
    """All of them."""
    return (
        *_square_products(),
        *_host(),
        *_streams(),
        *_attention(),
        *_shaped_products(),
        *_optimizer(),
        *_transfers(),
    )


def _product(name: str, what: str, m: int, n: int, k: int, dtype: str, layout: str = "nn") -> Workload:
    size = SIZES[dtype]
    read, written = size * (m * k + k * n), size * m * n
    kernel = Kernel(
        kind=KernelKind.PRODUCT,
        name="aten::mm",
        phase="forward" if layout != "tn" else "backward",
        dtype=dtype,
        operations=2.0 * m * n * k,
        read=read,
        written=written,
        product=Product(m=m, n=n, k=k),
    )
    return Workload(
        id=name,
        what=what,
        make="product",
        kernel=kernel,
        layout=layout,
        heats=True,
        needs_bytes=read + written,
    )


def _square_products() -> Iterator[Workload]:
    for dtype, sides in {
        "bfloat16": (8192, 4096),
        "float32": (8192,),
        "tf32": (8192,),
        "float16": (8192,),
    }.items():
        for n in sides:
            yield _product(f"product-{dtype}-{n}", f"{dtype} product of {n} x {n} matrices", n, n, n, dtype)


def _shaped_products() -> Iterator[Workload]:
    bf16 = "bfloat16"
    for n in (2048, 1024):
        yield _product(
            f"product-bfloat16-{n}", f"small product: {n} x {n} in few waves of tiles", n, n, n, bf16
        )
    for vocabulary, word in ((PADDED, "padded"), (VOCABULARY, "odd")):
        head = f"GPT-2's head, vocabulary {vocabulary}"
        yield _product(f"head-{word}", f"{head}: logits", TOKENS, vocabulary, WIDTH, bf16, "nt")
        yield _product(
            f"head-{word}-input", f"{head}: gradient of its input", TOKENS, WIDTH, vocabulary, bf16
        )
        yield _product(
            f"head-{word}-weight", f"{head}: gradient of its weight", vocabulary, WIDTH, TOKENS, bf16, "tn"
        )
    yield _product("mlp-up", "a block's linear layer, 768 to 3072", TOKENS, 4 * WIDTH, WIDTH, bf16, "nt")
    yield _product("mlp-down", "a block's linear layer, 3072 to 768", TOKENS, WIDTH, 4 * WIDTH, bf16, "nt")


def _stream(
    name: str,
    what: str,
    make: str,
    kind: KernelKind,
    operator: str,
    dtype: str,
    *,
    read: float,
    written: float,
    phase: str = "forward",
) -> Workload:
    """``read`` and ``written`` in tensors of ``STREAM_BYTES``."""
    kernel = Kernel(
        kind=kind,
        name=operator,
        phase=phase,
        dtype=dtype,
        read=round(read * STREAM_BYTES),
        written=round(written * STREAM_BYTES),
    )
    # Some operators need a tensor beside those that are counted.
    needs = round((read + written + 1) * STREAM_BYTES)
    return Workload(id=name, what=what, make=make, kernel=kernel, needs_bytes=needs)


def _streams() -> Iterator[Workload]:
    kinds, f32, bf16 = KernelKind, "float32", "bfloat16"
    yield _stream(
        "copy", "copy on the card", "copy", kinds.ELEMENTWISE, "aten::copy_", f32, read=1, written=1
    )
    yield _stream("add", "sum of two tensors", "add", kinds.ELEMENTWISE, "aten::add", bf16, read=2, written=1)
    yield _stream("gelu", "GELU", "gelu", kinds.ELEMENTWISE, "aten::gelu", bf16, read=1, written=1)
    yield _stream(
        "cast", "float32 to bfloat16", "cast", kinds.ELEMENTWISE, "aten::copy_", bf16, read=1, written=0.5
    )
    layer, rms = "aten::native_layer_norm", "aten::rms_norm"
    yield _stream(
        "layer-norm", "layer norm, width 768", "layer_norm", kinds.NORM, layer, f32, read=1, written=1
    )
    yield _stream(
        "layer-norm-backward",
        "layer norm's backward",
        "layer_norm_backward",
        kinds.NORM,
        f"{layer}_backward",
        f32,
        read=2,
        written=1,
        phase="backward",
    )
    yield _stream("rms-norm", "RMS norm, width 768", "rms_norm", kinds.NORM, rms, bf16, read=1, written=1)
    soft, log = "aten::_softmax", "aten::_log_softmax"
    yield _stream("softmax", "softmax over 1,024", "softmax", kinds.SOFTMAX, soft, bf16, read=1, written=1)
    yield _stream(
        "log-softmax",
        f"log-softmax over {VOCABULARY}",
        "log_softmax",
        kinds.SOFTMAX,
        log,
        f32,
        read=1,
        written=1,
    )
    yield _stream(
        "log-softmax-backward",
        "log-softmax's backward",
        "log_softmax_backward",
        kinds.SOFTMAX,
        f"{log}_backward_data",
        f32,
        read=2,
        written=1,
        phase="backward",
    )
    yield _stream(
        "gather", "rows of an embedding", "gather", kinds.GATHER, "aten::embedding", f32, read=1, written=1
    )


def _attention() -> Iterator[Workload]:
    for head, heads, batch, length in ((64, 12, 16, 1024), (128, 16, 4, 2048)):
        tensor = 2 * batch * heads * length * head
        statistics = 4 * batch * heads * length  # a float32 for each query
        forward = 2.0 * batch * heads * length**2 * head  # two products, the half that is not masked
        for backward in (False, True):
            kernel = Kernel(
                kind=KernelKind.ATTENTION,
                name="aten::_scaled_dot_product_flash_attention" + ("_backward" if backward else ""),
                phase="backward" if backward else "forward",
                dtype="bfloat16",
                operations=forward
                * (2.5 if backward else 1),  # five products, of which one is computed again
                read=5 * tensor + statistics if backward else 3 * tensor,
                written=3 * tensor if backward else tensor + statistics,
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
            word = "backward" if backward else "forward"
            yield Workload(
                id=f"attention-{head}-{word}",
                what=f"causal flash attention, heads of {head}, length {length}: {word}",
                make="attention_backward" if backward else "attention",
                kernel=kernel,
                heats=True,
                needs_bytes=12 * tensor,
            )


def _optimizer() -> Iterator[Workload]:
    parameters = 4 * OPTIMIZER_TENSORS * OPTIMIZER_ELEMENTS
    for way in ("fused", "foreach"):
        kernel = Kernel(
            kind=KernelKind.OPTIMIZER,
            name="aten::_fused_adamw_" if way == "fused" else "AdamW(foreach=True)",
            phase="optimizer",
            dtype="float32",
            # What must move: weight, gradient and two moments read, all but the gradient written.
            read=4 * parameters,
            written=3 * parameters,
        )
        yield Workload(
            id=f"adamw-{way}",
            what=f"{way} AdamW over {OPTIMIZER_TENSORS} tensors, all launches of a step",
            make=f"adamw_{way}",
            kernel=kernel,
            needs_bytes=(4 if way == "fused" else 6) * parameters,
        )


def _transfers() -> Iterator[Workload]:
    size = STREAM_BYTES // 2
    for make, what, to_card in (
        ("to_card", "pinned host memory to the card", True),
        ("from_card", "the card to pinned host memory", False),
    ):
        kernel = Kernel(
            kind=KernelKind.TRANSFER,
            name="aten::copy_",
            phase="forward",
            dtype="float32",
            read=0 if to_card else size,
            written=size if to_card else 0,
        )
        yield Workload(id=make.replace("_", "-"), what=what, make=make, kernel=kernel, needs_bytes=size)


def _host() -> Iterator[Workload]:
    yield Workload(id="issue", what="the host issues an eager operator", make="one_element", by_host=True)
    yield Workload(
        id="issue-linear", what="the host issues a linear layer", make="small_linear", by_host=True
    )
    yield Workload(
        id="synchronise", what="torch.cuda.synchronize on an idle card", make="synchronise", by_host=True
    )
    yield Workload(id="round-trip", what="an operator issued and waited for", make="round_trip", by_host=True)
    yield Workload(id="kernel", what="a tiny kernel after another, in a CUDA graph of 200", make="graph")
