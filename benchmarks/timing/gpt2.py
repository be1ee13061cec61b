"""GPT-2 by formula: nanoGPT and build-nanogpt with AdamW, eager or compiled, as PyTorch 2.5 to 2.8 runs them.

Eager: the operators of the model in their order, autocast's casts among them. Compiled: what Inductor fuses
(norm, residual sum and cast; activation; loss), products and attention as they are. What is written here are
the formulas of ``nanocheck/search/step_cost.py``, kernel by kernel.
"""

from __future__ import annotations

from dataclasses import dataclass

from tape import SIZE, Tape, Tensor, adamw

from nanocheck.core.kernels import Attention, KernelKind, KernelList, Part


@dataclass(frozen=True, kw_only=True)
class Gpt2:
    """Sizes of the model and of a step."""

    layers: int
    width: int
    heads: int
    vocab: int
    context: int
    batch: int
    accumulation: int
    dtype: str
    compiled: bool
    flash: bool
    fused: bool

    @property
    def parameters(self) -> int:
        c = self.width
        return self.layers * (12 * c * c + 13 * c) + self.vocab * c + self.context * c + 2 * c


def kernel_list(model: Gpt2) -> KernelList:
    """One optimizer step."""
    first, again = (_micro_batch(model, adds=adds) for adds in (False, True))
    parts = [Part(name="first micro-batch", kernels=first)]
    if model.accumulation > 1:
        parts.append(Part(name="micro-batch", kernels=again, times=model.accumulation - 1))
    parts.append(Part(name="update", kernels=adamw(model.parameters, fused=model.fused, clip=True)))
    return KernelList(
        parts=tuple(parts),
        torch="by formula",
        capability=(8, 0),
        compiled=model.compiled,
        tokens=model.batch * model.context * model.accumulation,
        parameters=model.parameters,
    )


def _micro_batch(g: Gpt2, *, adds: bool) -> tuple:
    tape, s, r, c = Tape(g.dtype), SIZE[g.dtype], g.batch * g.context, g.width
    weights = [_linear(g, r, c, 3 * c), _linear(g, r, c, c), _linear(g, r, c, 4 * c), _linear(g, r, 4 * c, c)]
    tape.run(KernelKind.GATHER, "embedding", [Tensor(r * c)], [Tensor(r * c)])
    x = tape.each("add", [Tensor(r * c), Tensor(g.context * c)])
    kept = []
    for _ in range(g.layers):
        h = _norm(tape, g, x, s)
        cast = _casts(tape, g, s)
        qkv = tape.product("addmm", h, cast[0], *weights[0])
        y, saved = _attend(tape, g, qkv)
        out = tape.product("addmm", y, cast[1], *weights[1])
        x2 = x if g.compiled else tape.each("add", [x, out])
        h2 = _norm(tape, g, x2, s, extra=out)
        fc = tape.product("addmm", h2, cast[2], *weights[2])
        act = _triton(tape, g, "gelu", [fc], [Tensor(4 * r * c, s)])
        x3 = tape.product("addmm", act, cast[3], *weights[3])
        x = x2 if g.compiled else tape.each("add", [x2, x3])
        kept.append((x, h, qkv, y, saved, h2, fc, act, cast))
    h = _norm(tape, g, x, s)
    head = Tensor(g.vocab * c, s)
    if s < 4:
        tape.each("_to_copy", [Tensor(g.vocab * c, 4)], s)
    logits = tape.product("mm", h, head, r, g.vocab, c)
    grad = _loss(tape, g, logits, r, s)
    tape.phase = "backward"
    tape.product("mm", grad, h, g.vocab, c, r)
    dh = tape.product("mm", grad, head, r, c, g.vocab)
    _grad_casts(tape, g, s, g.vocab * c)
    dx = _norm_backward(tape, g, dh, x, Tensor(r * c), s)
    for x, h, qkv, y, saved, h2, fc, act, cast in reversed(kept):
        dact = _linear_backward(tape, g, dx, act, cast[3], weights[3], s)
        dfc = _triton(tape, g, "gelu_backward", [dact, fc], [Tensor(4 * r * c, s)])
        dh2 = _linear_backward(tape, g, dfc, h2, cast[2], weights[2], s)
        dx = _norm_backward(tape, g, dh2, x, dx, s)
        dy = _linear_backward(tape, g, dx, y, cast[1], weights[1], s)
        dqkv = _attend_backward(tape, g, dy, qkv, saved)
        dqkv = _triton(tape, g, "cat", [dqkv], [Tensor(3 * r * c, s)])
        dh = _linear_backward(tape, g, dqkv, h, cast[0], weights[0], s)
        dx = _norm_backward(tape, g, dh, x, dx, s)
    tape.run(KernelKind.GATHER, "embedding_dense_backward", [dx], [Tensor(g.vocab * c)])
    total = Tensor(g.vocab * c)
    tape.each("add", [total, Tensor(g.vocab * c)])  # the tied head's gradient
    if adds:
        sums = Tensor(g.parameters)
        tape.run(
            KernelKind.ELEMENTWISE, "add_", [sums, Tensor(g.parameters)], [sums], launches=12 * g.layers + 4
        )
    return tuple(tape.kernels)


def _linear(g: Gpt2, rows: int, inner: int, outer: int) -> tuple[int, int, int]:
    return rows, outer, inner


def _triton(tape: Tape, g: Gpt2, name: str, reads: list[Tensor], writes: list[Tensor]) -> Tensor:
    return tape.run(KernelKind.TRITON if g.compiled else KernelKind.ELEMENTWISE, name, reads, writes)


def _norm(tape: Tape, g: Gpt2, x: Tensor, s: int, extra: Tensor | None = None) -> Tensor:
    n = x.elements
    if g.compiled:  # residual sum, norm and cast in one
        return tape.run(KernelKind.TRITON, "norm", [x, extra or Tensor(n, s)], [Tensor(n, s), x])
    h = tape.run(KernelKind.NORM, "native_layer_norm", [x], [Tensor(n)])
    return tape.each("_to_copy", [h], s) if s < 4 else h


def _norm_backward(tape: Tape, g: Gpt2, dh: Tensor, x: Tensor, dx: Tensor, s: int) -> Tensor:
    n = x.elements
    if g.compiled:
        out = tape.run(KernelKind.TRITON, "norm_backward", [dh, x, dx], [Tensor(n, s), dx])
        tape.run(KernelKind.TRITON, "norm_weights", [dh, x], [Tensor(g.width)], launches=2)
        return out
    if s < 4:
        dh = tape.each("_to_copy", [dh], 4)
    out = tape.run(KernelKind.NORM, "native_layer_norm_backward", [dh, x], [Tensor(n)], launches=2)
    out = tape.each("add", [out, dx])
    return tape.each("_to_copy", [out], s) if s < 4 else out


def _casts(tape: Tape, g: Gpt2, s: int) -> list[Tensor]:
    c = g.width
    sizes = (3 * c * c, c * c, 4 * c * c, 4 * c * c)
    if s == 4:
        return [Tensor(n, 4) for n in sizes]
    return [_triton(tape, g, "_to_copy", [Tensor(n, 4)], [Tensor(n, s)]) for n in sizes]


def _grad_casts(tape: Tape, g: Gpt2, s: int, elements: int) -> None:
    if s < 4:
        _triton(tape, g, "_to_copy", [Tensor(elements, s)], [Tensor(elements, 4)])


def _linear_backward(
    tape: Tape, g: Gpt2, dy: Tensor, a: Tensor, w: Tensor, sizes: tuple[int, int, int], s: int
) -> Tensor:
    m, n, k = sizes
    dy = Tensor(dy.elements, s) if dy.size != s else dy
    da = tape.product("mm", dy, w, m, k, n)
    tape.product("mm", dy, a, n, k, m)
    tape.run(KernelKind.TRITON if g.compiled else KernelKind.REDUCTION, "sum", [dy], [Tensor(n)])
    _grad_casts(tape, g, s, n * k)
    return da


def _attention(g: Gpt2, *, backward: bool) -> Attention:
    head = g.width // g.heads
    return Attention(
        backend="flash",
        batch=g.batch,
        heads=g.heads,
        key_heads=g.heads,
        queries=g.context,
        keys=g.context,
        head=head,
        causal=True,
        masked=False,
        backward=backward,
    )


def _attend(tape: Tape, g: Gpt2, qkv: Tensor) -> tuple[Tensor, Tensor | None]:
    r, c, s, t = g.batch * g.context, g.width, SIZE[g.dtype], g.context
    if g.flash:
        one = _attention(g, backward=False)
        work = 2 * 2.0 * g.batch * g.context**2 * c / 2
        return tape.run(
            KernelKind.ATTENTION, "flash", [qkv], [Tensor(r * c, s)], operations=work, attention=one
        ), None
    d, b = c // g.heads, g.batch * g.heads
    q = tape.each("clone", [Tensor(r * c, s)])
    k = tape.each("clone", [Tensor(r * c, s)])
    v = tape.each("clone", [Tensor(r * c, s)])
    scores = tape.product("bmm", q, k, t, t, d, b)
    if g.compiled:
        p = tape.run(KernelKind.TRITON, "softmax", [scores], [Tensor(scores.elements, s)])
    else:
        scores = tape.each("mul", [scores])
        scores = tape.each("masked_fill", [scores])
        if s < 4:
            scores = tape.each("_to_copy", [scores], 4)
        p = tape.run(KernelKind.SOFTMAX, "_softmax", [scores], [Tensor(scores.elements, 4)])
        if s < 4:
            p = tape.each("_to_copy", [p], s)
    y = tape.product("bmm", p, v, t, d, t, b)
    return tape.each("clone", [y]), p


def _attend_backward(tape: Tape, g: Gpt2, dy: Tensor, qkv: Tensor, p: Tensor | None) -> Tensor:
    r, c, s, t = g.batch * g.context, g.width, SIZE[g.dtype], g.context
    if g.flash:
        one = _attention(g, backward=True)
        work = 5 * 2.0 * g.batch * g.context**2 * c / 2
        return tape.run(
            KernelKind.ATTENTION,
            "flash_backward",
            [qkv, dy, Tensor(r * c, s)],
            [Tensor(3 * r * c, s)],
            launches=3,
            operations=work,
            attention=one,
        )
    d, b = c // g.heads, g.batch * g.heads
    p = p or Tensor(b * t * t, s)
    dp = tape.product("bmm", dy, qkv, t, t, d, b)
    tape.product("bmm", p, dy, t, d, t, b)
    if g.compiled:
        ds = tape.run(KernelKind.TRITON, "softmax_backward", [dp, p], [Tensor(dp.elements, s)])
    else:
        if s < 4:
            dp = tape.each("_to_copy", [dp], 4)
        ds = tape.run(
            KernelKind.SOFTMAX,
            "_softmax_backward_data",
            [dp, Tensor(dp.elements, 4)],
            [Tensor(dp.elements, 4)],
        )
        if s < 4:
            ds = tape.each("_to_copy", [ds], s)
        ds = tape.each("masked_fill", [ds])
        ds = tape.each("mul", [ds])
    tape.product("bmm", ds, qkv, t, d, t, b)
    tape.product("bmm", ds, qkv, t, d, t, b)
    return Tensor(3 * r * c, s)


def _loss(tape: Tape, g: Gpt2, logits: Tensor, r: int, s: int) -> Tensor:
    n = r * g.vocab
    if g.compiled:
        tape.run(KernelKind.TRITON, "log_softmax", [logits], [Tensor(2 * r)])
        zeros = tape.run(
            KernelKind.TRITON, "zeros", [], [Tensor(n, s)]
        )  # of the logits that the model returns
        return tape.run(KernelKind.TRITON, "log_softmax_backward", [logits, zeros], [Tensor(n, s)])
    wide = tape.each("_to_copy", [logits], 4) if s < 4 else logits
    out = tape.run(KernelKind.SOFTMAX, "_log_softmax", [wide], [Tensor(n)])
    zeros = tape.run(KernelKind.ELEMENTWISE, "fill_", [], [Tensor(n)])
    grad = tape.run(KernelKind.SOFTMAX, "_log_softmax_backward_data", [zeros, out], [Tensor(n)])
    return tape.each("_to_copy", [grad], s) if s < 4 else grad
