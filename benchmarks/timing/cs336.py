"""The language model of Stanford's CS336, assignment 2, kernel by kernel: eager, written-out attention.

Students time the course's own `cs336_basics`: RMS norm, rotary positions, SwiGLU, scores and softmax written
out, products by `einsum`, untied head. The order, the casts and the copies are those of two recorded steps
(`record_cs336.py`; tests/timing compares kind by kind). What differs between students stands in `VARIANTS`,
read from their repositories.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

from tape import SIZE, Tape, Tensor, adamw, written_adamw

from nanocheck.core.kernels import Kernel, KernelKind, KernelList, Part


@dataclass(frozen=True, kw_only=True)
class Variant:
    """What a student's benchmark runs.

    Attributes:
        indexed: rotary tables looked up by position (course of early 2025), or sliced (later).
        loss: "written" out as in the course's nn_utils, "fused" (F.cross_entropy), or the "sum" of logits.
        loss_in_forward: whether the segment called forward holds the loss.
        update_in_backward: whether the segment called forward+backward holds the optimizer's step.
        optimizer: "foreach" (torch.optim), or "written": the course's loop over parameters.
    """

    indexed: bool = True
    loss: str = "written"
    loss_in_forward: bool = False
    update_in_backward: bool = False
    optimizer: str = "foreach"


#: By the repository's owner, read at the commit that steps.csv names. luke396's "forward+backward" ends with
#: the optimizer (cs336_systems/benchmark.py: `_backward_pass` calls `optimizer.step()`).
VARIANTS = {
    "MarkMrLi": Variant(loss_in_forward=True),
    "Cgfyufsygsm": Variant(loss="fused", loss_in_forward=True),
    "Hyperion-shuo": Variant(loss="fused", loss_in_forward=True),
    "brandon-snider": Variant(),
    "yyin-dev": Variant(optimizer="written"),
    "LINYUNLinYun": Variant(indexed=False, loss="fused"),
    "duoan": Variant(indexed=False, loss_in_forward=True),
    "subha-v": Variant(indexed=False, loss="sum"),
    "luke396": Variant(update_in_backward=True, optimizer="written"),
    "CTKnight": Variant(),
}


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
    variant: Variant = Variant()

    @property
    def parameters(self) -> int:
        return sum(self.tensors)

    @property
    def tensors(self) -> list[int]:
        """Elements of each parameter."""
        c = self.width
        layer = [c * c] * 4 + [c * self.ff] * 3 + [c] * 2
        return layer * self.layers + [self.vocab * c] * 2 + [c]


def kernel_list(model: Cs336) -> KernelList:
    """What the segment runs."""
    parts = []
    forward, loss, backward = _passes(replace(model, segment=""))
    if model.segment != "backward":
        parts.append(Part(name="forward", kernels=forward))
    if model.segment in {"both", "step"} or (model.segment == "forward" and model.variant.loss_in_forward):
        parts.append(Part(name="loss", kernels=loss))
    if model.segment != "forward":
        parts.append(Part(name="backward", kernels=backward))
    if model.segment == "step" or (model.segment == "both" and model.variant.update_in_backward):
        update = (
            written_adamw(model.tensors)
            if model.variant.optimizer == "written"
            else adamw(model.parameters, fused=False, clip=False)
        )
        parts.append(Part(name="update", kernels=update))
    return KernelList(
        parts=tuple(parts),
        torch="by formula",
        capability=(8, 0),
        tokens=model.batch * model.context,
        parameters=model.parameters,
    )


@functools.lru_cache(maxsize=16)
def _passes(model: Cs336) -> tuple[tuple[Kernel, ...], ...]:
    """Forward, loss and backward: rows of one table ask for the same, one after the other."""
    run = _Run(model)
    return run.forward(), run.loss(), run.backward()


class _Run:
    """One step, written down in PyTorch's order."""

    def __init__(self, model: Cs336) -> None:
        self.g = g = model
        self.tape = Tape(model.dtype)
        self.s = SIZE[model.dtype]
        self.r, self.c = g.batch * g.context, g.width
        self.n = self.r * self.c
        self.head, self.products = g.width // g.heads, g.batch * g.heads
        self.rows = self.products * g.context
        self.layers: list[tuple[Tensor, ...]] = []

    def _done(self) -> tuple:
        found, self.tape.kernels = tuple(self.tape.kernels), []
        return found

    def down(self, one: Tensor) -> Tensor:
        """Autocast's copy; nothing in fp32."""
        return self.tape.each("copy_", [one], self.s) if self.s < one.size else one

    def up(self, one: Tensor) -> Tensor:
        return self.tape.each("copy_", [one], 4) if one.size < 4 else one

    def tiny(self, name: str, launches: int) -> None:
        """Kernels over a vector: their launches are what they cost."""
        self.tape.run(KernelKind.ELEMENTWISE, name, [Tensor(1)], [Tensor(1)], launches=launches)

    def linear(self, x: Tensor, inner: int, outer: int) -> Tensor:
        return self.tape.product("bmm", x, self.down(Tensor(inner * outer)), self.r, outer, inner)

    def norm(self, x: Tensor) -> Tensor:
        tape = self.tape
        scale = tape.reduce("mean", [tape.each("pow", [x])], self.r)
        scale = tape.each("rsqrt", [tape.each("add", [scale])])
        return tape.each("mul", [tape.each("mul", [x, scale]), Tensor(self.c)])

    def rotate(self, x: Tensor) -> Tensor:
        tape, half = self.tape, Tensor(self.n / 2, x.size)
        table = Tensor(self.g.context * self.head / 2)
        if self.g.variant.indexed:
            self.tiny("arange", 6)
            tape.run(KernelKind.GATHER, "index", [Tensor(2 * table.elements)], [Tensor(2 * table.elements)])
        turned = []
        for name in ("sub", "add"):  # cosines and sines are fp32, and so is what they are multiplied with
            pair = [tape.each("mul", [half, table], 4) for _ in range(2)]
            turned.append(tape.each(name, pair))
        return self.down(tape.each("cat", turned, elements=self.n))

    def rotate_back(self, dx: Tensor) -> Tensor:
        tape, table = self.tape, Tensor(self.g.context * self.head / 2)
        dx = self.up(dx)
        halves = []
        for position in range(4):
            half = Tensor(self.n / 2)
            if position == 2:
                half = tape.each("neg", [half])
            half = self.down(tape.each("mul", [half, table]))
            if position >= 2:
                half = tape.add_to(halves[position - 2], half)
            halves.append(half)
        return tape.each("cat", halves[:2], elements=self.n)

    def forward(self) -> tuple:
        g, tape, t, d, b = self.g, self.tape, self.g.context, self.head, self.products
        x = tape.run(KernelKind.GATHER, "index", [Tensor(self.n)], [Tensor(self.n)])
        for _ in range(g.layers):
            h = self.norm(x)
            # autocast keeps copies of parameters only: each of the three casts the input again
            inputs = [self.down(h) for _ in range(3)]
            q, k, v = (self.linear(each, self.c, self.c) for each in inputs)
            q, k = self.rotate(q), self.rotate(k)
            self.tiny("ge", 3)
            scores = tape.each("div", [tape.product("bmm", q, k, t, t, d, b)])
            mask = Tensor(t * t, 1)
            scores = tape.each("where", [scores, mask])
            top = tape.run(
                KernelKind.REDUCTION, "max", [scores], [Tensor(self.rows, self.s), Tensor(self.rows, 8)]
            )
            e = tape.each("exp", [self.up(tape.each("sub", [scores, top]))])  # autocast: exp in fp32
            total = tape.reduce("sum", [e], self.rows)
            p = self.down(tape.each("div", [e, total]))
            v = tape.each("copy_", [v])
            y = tape.each("copy_", [tape.product("bmm", p, v, t, d, t, b)])
            x2 = tape.each("add", [x, self.linear(y, self.c, self.c)])
            h2 = self.norm(x2)
            one = self.linear(self.down(h2), self.c, g.ff)
            silu = tape.each("mul", [one, tape.each("sigmoid", [one])])
            three = self.linear(self.down(h2), self.c, g.ff)
            gate = tape.each("mul", [silu, three])
            x3 = tape.each("add", [x2, self.linear(gate, g.ff, self.c)])
            self.layers.append((x, inputs[0], q, k, v, e, total, p, mask, y, x2, h2, one, silu, three, gate))
            x = x3
        self.last, self.final = x, self.down(self.norm(x))
        self.logits = self.linear(self.final, self.c, g.vocab)
        return self._done()

    def loss(self) -> tuple:
        tape, logits, r = self.tape, self.logits, self.r
        if self.g.variant.loss == "sum":
            tape.reduce("sum", [logits], 1)
        elif self.g.variant.loss == "fused":
            self.wide = tape.run(
                KernelKind.SOFTMAX, "_log_softmax", [self.up(logits)], [Tensor(logits.elements)]
            )
            self.tiny("nll_loss", 1)
        else:
            top = tape.run(KernelKind.REDUCTION, "max", [logits], [Tensor(r, self.s), Tensor(r, 8)])
            low = tape.each("sub", [logits, top])
            self.wide = tape.each("exp", [self.up(low)])
            total = tape.reduce("sum", [self.wide], r)
            tape.each("neg", [tape.each("sub", [low, total], 4)])
            self.tiny("log, gather, mean", 4)
        return self._done()

    def loss_backward(self) -> Tensor:
        tape, n = self.tape, self.logits.elements
        if self.g.variant.loss == "sum":
            return tape.each("copy_", [Tensor(1, self.s)], elements=n)
        zeros = tape.run(KernelKind.ELEMENTWISE, "fill_", [], [Tensor(n)])
        if self.g.variant.loss == "fused":
            self.tiny("nll_loss_backward", 2)
            grad = tape.run(KernelKind.SOFTMAX, "_log_softmax_backward_data", [zeros, self.wide], [Tensor(n)])
            return self.down(grad)
        self.tiny("scatter_add_", 3)
        wide = tape.each("neg", [zeros])
        low = self.down(tape.each("neg", [wide]))
        share = tape.reduce("sum", [wide], self.r)
        second = self.down(tape.each("mul", [self.wide, share]))
        low = tape.add_to(low, second)
        return self._max_backward(low, self.r)

    def _max_backward(self, low: Tensor, rows: int) -> Tensor:
        """Of ``x - max(x)``: what went to the maximum is summed, spread over zeros, and added."""
        tape = self.tape
        tape.reduce("sum", [tape.each("neg", [low])], rows, low.size)
        spread = tape.run(KernelKind.ELEMENTWISE, "fill_", [], [Tensor(low.elements, low.size)])
        tape.run(KernelKind.GATHER, "scatter_", [Tensor(rows, 8), Tensor(rows, low.size)], [Tensor(rows, 4)])
        return tape.add_to(low, spread)

    def linear_backward(self, dy: Tensor, x: Tensor, inner: int, outer: int) -> Tensor:
        tape = self.tape
        dy = self.down(dy)
        tape.product("bmm", dy, x, outer, inner, self.r)
        dx = tape.product("bmm", dy, Tensor(inner * outer, self.s), self.r, inner, outer)
        grad = self.up(Tensor(inner * outer, self.s))
        tape.each("copy_", [grad])  # einsum leaves it transposed: the parameter's order is another
        return dx

    def norm_backward(self, dy: Tensor, x: Tensor, total: Tensor | None) -> Tensor:
        tape, small = self.tape, Tensor(self.r)
        d = tape.each("mul", [dy, Tensor(self.c)])
        tape.reduce("sum", [tape.each("mul", [dy, x])], self.c)
        wide = tape.each("mul", [d, x])
        d = tape.each("mul", [d, small])
        tape.reduce("sum", [wide], self.r)
        if total is not None:
            d = tape.add_to(total, d)
        self.tiny("pow_backward", 3)
        e = tape.each("copy_", [tape.each("div", [small], elements=self.n)])
        twice = tape.each("mul", [x])
        return tape.add_to(d, tape.each("mul", [e, twice]))

    def backward(self) -> tuple:
        g, tape, t, d, b = self.g, self.tape, self.g.context, self.head, self.products
        tape.phase = "backward"
        dh = self.linear_backward(self.loss_backward(), self.final, self.c, g.vocab)
        dx = self.norm_backward(self.up(dh), self.last, None)
        for x, h, q, k, v, e, total, p, mask, y, x2, h2, one, silu, three, gate in reversed(self.layers):
            dgate = self.linear_backward(dx, gate, g.ff, self.c)
            dsilu, dthree = tape.each("mul", [dgate, three]), tape.each("mul", [dgate, silu])
            dh2 = self.up(self.linear_backward(dthree, self._again(h2), self.c, g.ff))
            a, again = tape.each("mul", [dsilu, one]), tape.each("mul", [dsilu, one])
            done = tape.add_to(tape.each("sigmoid_backward", [a, one]), again)
            dh2 = tape.add_to(dh2, self.up(self.linear_backward(done, self._again(h2), self.c, g.ff)))
            dx2 = self.norm_backward(dh2, x2, dx)
            dy = tape.each("copy_", [self.linear_backward(dx2, y, self.c, self.c)])
            dv = tape.product("bmm", p, dy, t, d, t, b)
            dp = self.up(tape.product("bmm", dy, v, t, t, d, b))
            ds = self._softmax_backward(dp, e, total)
            ds = tape.each("div", [tape.each("where", [self._max_backward(ds, self.rows), mask])])
            dq, dk = tape.product("bmm", ds, k, t, d, t, b), tape.product("bmm", ds, q, t, d, t, b)
            found = [tape.each("copy_", [self.rotate_back(each)]) for each in (dq, dk)]
            for _ in range(3):
                dv = tape.each("copy_", [dv])
            found.append(dv)
            parts = [self.up(self.linear_backward(each, h, self.c, self.c)) for each in found]
            dh = tape.add_to(tape.add_to(parts[0], parts[1]), parts[2])
            dx = self.norm_backward(dh, x, dx2)
        tape.run(KernelKind.ELEMENTWISE, "fill_", [], [Tensor(g.vocab * self.c)])
        tape.run(KernelKind.GATHER, "index_put_", [dx], [Tensor(self.n)], launches=5)
        return self._done()

    def _again(self, one: Tensor) -> Tensor:
        """As autocast saved it."""
        return Tensor(one.elements, self.s)

    def _softmax_backward(self, dp: Tensor, e: Tensor, total: Tensor) -> Tensor:
        """Of exp(s) / sum: towards the dividend; towards the divisor and through the sum; then exp."""
        tape = self.tape
        ds = tape.each("div", [dp, total])
        low = tape.each(
            "mul", [tape.each("neg", [dp]), tape.each("div", [tape.each("div", [e, total]), total])]
        )
        ds = tape.add_to(ds, tape.reduce("sum", [low], self.rows))
        return self.down(tape.each("mul", [ds, e]))
