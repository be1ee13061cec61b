"""The language model of Stanford's CS336, assignment 2, by formula: eager, written-out attention.

As in the course's own `cs336_basics` (RMS norm, rotary positions, SwiGLU, scores and softmax written out,
untied head); students' models differ in a few elementwise kernels. Loss and optimizer: log-sum-exp written
out, AdamW of PyTorch.
"""

from __future__ import annotations

from dataclasses import dataclass

from tape import SIZE, Tape, Tensor, adamw

from nanocheck.core.kernels import KernelKind, KernelList, Part


@dataclass(frozen=True, kw_only=True)
class Cs336:
    """Sizes of the model, and which part of a step is timed: forward, backward, both or the whole step."""

    layers: int
    width: int
    heads: int
    ff: int
    vocab: int
    context: int
    batch: int
    dtype: str
    segment: str

    @property
    def parameters(self) -> int:
        c = self.width
        return self.layers * (4 * c * c + 3 * c * self.ff + 2 * c) + 2 * self.vocab * c + c


def kernel_list(model: Cs336) -> KernelList:
    """What the segment runs."""
    parts = []
    tape = Tape(model.dtype)
    cast = _Casts(tape, SIZE[model.dtype])
    saved = _forward(tape, model, cast)
    forward = tuple(tape.kernels)
    tape.kernels, tape.phase = [], "backward"
    _backward(tape, model, cast, saved)
    if model.segment != "backward":
        parts.append(Part(name="forward", kernels=forward))
    if model.segment != "forward":
        parts.append(Part(name="backward", kernels=tuple(tape.kernels)))
    if model.segment == "step":
        parts.append(Part(name="update", kernels=adamw(model.parameters, fused=False, clip=False)))
    return KernelList(
        parts=tuple(parts),
        torch="by formula",
        capability=(8, 0),
        tokens=model.batch * model.context,
        parameters=model.parameters,
    )


class _Casts:
    """Autocast's copies of inputs and weights; nothing in fp32."""

    def __init__(self, tape: Tape, size: int) -> None:
        self.tape, self.size = tape, size

    def down(self, one: Tensor) -> Tensor:
        return self.tape.each("_to_copy", [one], self.size) if self.size < one.size else one

    def up(self, one: Tensor) -> Tensor:
        return self.tape.each("_to_copy", [one], 4) if one.size < 4 else one


def _linear(tape: Tape, cast: _Casts, x: Tensor, rows: int, inner: int, outer: int) -> tuple[Tensor, Tensor]:
    x = cast.down(x)
    return tape.product("mm", x, cast.down(Tensor(inner * outer)), rows, outer, inner), x


def _linear_backward(
    tape: Tape, cast: _Casts, dy: Tensor, x: Tensor, rows: int, inner: int, outer: int
) -> Tensor:
    dy = cast.down(dy)
    tape.product("mm", dy, x, outer, inner, rows)
    cast.up(Tensor(inner * outer, cast.size))
    return tape.product("mm", dy, Tensor(inner * outer, cast.size), rows, inner, outer)


def _norm(tape: Tape, x: Tensor, width: int) -> Tensor:
    square = tape.each("pow", [x])
    scale = tape.reduce("mean", [square], x.elements / width)
    scale = tape.each("rsqrt", [tape.each("add", [scale])])
    return tape.each("mul", [tape.each("mul", [x, scale])])


def _norm_backward(tape: Tape, dy: Tensor, x: Tensor, width: int) -> Tensor:
    n = x.elements
    tape.reduce("sum", [tape.each("mul", [dy, x])], width)
    dy = tape.each("mul", [dy])
    small = tape.reduce("sum", [tape.each("mul", [dy, x])], n / width)
    dx = tape.each("mul", [dy, small])
    for name in ("mul", "pow_backward", "div"):
        small = tape.each(name, [small])
    wide = tape.each("mul", [x, small])
    return tape.each("add", [dx, wide])


def _rotate(tape: Tape, x: Tensor) -> Tensor:
    half = Tensor(x.elements / 2, x.size)
    for name in ("mul", "mul", "sub", "mul", "mul", "add"):
        half = tape.each(name, [half, Tensor(x.elements / 2, x.size)] if name in {"sub", "add"} else [half])
    return tape.each("stack", [half, Tensor(x.elements / 2, x.size)], elements=x.elements)


def _forward(tape: Tape, g: Cs336, cast: _Casts) -> dict:
    r, c, f, t = g.batch * g.context, g.width, g.ff, g.context
    d, b = c // g.heads, g.batch * g.heads
    x = tape.run(KernelKind.GATHER, "embedding", [Tensor(r * c)], [Tensor(r * c)])
    layers = []
    for _ in range(g.layers):
        h = _norm(tape, x, c)
        # autocast keeps copies of parameters only: each of the three casts the input again
        h16, *_ = inputs = [cast.down(h) for _ in range(3)]
        qkv = [tape.product("mm", each, cast.down(Tensor(c * c)), r, c, c) for each in inputs]
        # sines and cosines are fp32, and so is what they are multiplied with
        q, k = (cast.down(_rotate(tape, Tensor(r * c))) for _ in qkv[:2])
        q, k, v = (tape.each("clone", [each]) for each in (q, k, qkv[2]))
        scores = tape.product("bmm", q, k, t, t, d, b)
        scores = tape.each("where", [tape.each("div", [scores])])
        top = tape.reduce("amax", [scores], b * t, scores.size)
        e = tape.each("exp", [cast.up(tape.each("sub", [scores, top]))])  # autocast: exp in fp32
        total = tape.reduce("sum", [e], b * t)
        p = tape.each("div", [e, total])
        p16 = cast.down(p)
        y = tape.each("clone", [tape.product("bmm", p16, v, t, d, t, b)])
        out, y = _linear(tape, cast, y, r, c, c)
        x2 = tape.each("add", [x, out])
        h2 = _norm(tape, x2, c)
        h2, again = cast.down(h2), cast.down(h2)
        one = tape.product("mm", h2, cast.down(Tensor(c * f)), r, f, c)
        silu = tape.each("mul", [one, tape.each("sigmoid", [one])])
        three = tape.product("mm", again, cast.down(Tensor(c * f)), r, f, c)
        gate = tape.each("mul", [silu, three])
        down = tape.product("mm", gate, cast.down(Tensor(c * f)), r, c, f)
        x3 = tape.each("add", [x2, down])
        layers.append((x, h16, q, k, v, p, p16, y, x2, h2, one, silu, three, gate))
        x = x3
    h = cast.down(_norm(tape, x, c))
    logits = tape.product("mm", h, cast.down(Tensor(g.vocab * c)), r, g.vocab, c)
    return {"layers": layers, "x": x, "h": h, "logits": logits}


def _backward(tape: Tape, g: Cs336, cast: _Casts, saved: dict) -> None:
    r, c, f, t = g.batch * g.context, g.width, g.ff, g.context
    d, b = c // g.heads, g.batch * g.heads
    grad = tape.each("mul", [tape.each("exp", [saved["logits"]])])  # of the loss
    dh = _linear_backward(tape, cast, grad, saved["h"], r, c, g.vocab)
    dx = _norm_backward(tape, cast.up(dh), saved["x"], c)
    for x, h16, q, k, v, p, p16, y, x2, h2, one, silu, three, gate in reversed(saved["layers"]):
        dgate = _linear_backward(tape, cast, dx, gate, r, f, c)
        dsilu, dthree = tape.each("mul", [dgate, three]), tape.each("mul", [dgate, silu])
        a, e = tape.each("mul", [dsilu, one]), tape.each("mul", [dsilu, one])
        done = tape.each("add", [tape.each("sigmoid_backward", [a, one]), e])
        dh2 = tape.each(
            "add", [cast.up(_linear_backward(tape, cast, each, h2, r, c, f)) for each in (dthree, done)]
        )
        dx2 = tape.each("add", [_norm_backward(tape, dh2, x2, c), dx])
        dy = tape.each("clone", [_linear_backward(tape, cast, dx2, y, r, c, c)])
        dp = tape.product("bmm", dy, v, t, t, d, b)
        dv = tape.product("bmm", p16, dy, t, d, t, b)
        dp = cast.up(dp)
        # of exp(s) / sum: towards the dividend; towards the divisor, summed, and through the sum; then exp
        ds = tape.each("div", [dp])
        low = tape.reduce(
            "sum", [tape.each("mul", [tape.each("div", [tape.each("neg", [dp]), p]), p])], b * t
        )
        ds = tape.each("add", [ds, low])
        ds = tape.each("mul", [ds, p])
        ds = cast.down(ds)
        ds = tape.each("div", [tape.each("where", [ds])])
        dq, dk = tape.product("bmm", ds, k, t, d, t, b), tape.product("bmm", ds, q, t, d, t, b)
        found = [cast.down(_rotate(tape, cast.up(tape.each("clone", [each])))) for each in (dq, dk)]
        found.append(tape.each("clone", [dv]))
        parts = [cast.up(_linear_backward(tape, cast, each, h16, r, c, c)) for each in found]
        dh = tape.each("add", [tape.each("add", parts[:2]), parts[2]])
        dx = tape.each("add", [_norm_backward(tape, dh, x, c), dx2])
    tape.run(KernelKind.GATHER, "embedding_dense_backward", [dx], [Tensor(g.vocab * c)])
