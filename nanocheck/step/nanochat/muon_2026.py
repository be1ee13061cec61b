"""The optimizer of mid-2026: AdamW and Muon in one, each as one compiled function.

Muon stacks all matrices of a shape, so that one function updates them together: momentum, orthogonalisation
by Polar Express (Amsel et al. 2025, https://arxiv.org/abs/2505.16932), NorMuon's variance reduction
(https://arxiv.org/abs/2510.05491), and decay only where update and parameter agree in sign. Numbers that
change from step to step are CPU scalars, for a new value of those compiles nothing anew.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: a, b and c of each iteration x -> a x + b x^3 + c x^5; table of the paper for five iterations.
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)
#: As nanochat has it.
SLACK = 1.01
_ADAMW_SCALARS = ("step", "lr", "beta1", "beta2", "eps", "weight_decay")
_MUON_SCALARS = ("momentum", "lr", "weight_decay", "beta2")


def adamw_update(
    p: Tensor,
    grad: Tensor,
    first: Tensor,
    second: Tensor,
    step: Tensor,
    lr: Tensor,
    beta1: Tensor,
    beta2: Tensor,
    eps: Tensor,
    weight_decay: Tensor,
) -> None:
    """AdamW in place on ``p`` and its two moments, all of one shape; the rest are CPU scalars."""
    p.mul_(1 - lr * weight_decay)
    first.lerp_(grad, 1 - beta1)
    second.lerp_(grad.square(), 1 - beta2)
    bias1 = 1 - beta1**step
    bias2 = 1 - beta2**step
    denominator = (second / bias2).sqrt() + eps
    size = lr / bias1
    p.add_(first / denominator, alpha=-size)  # type: ignore[arg-type]


def orthogonalised(g: Tensor, slack: float = SLACK) -> Tensor:
    """Polar Express of each matrix of (N, R, C): singular values near 1, in the dtype of ``g``.

    ``slack`` divides further than the norm does, so that rounding brings no singular value above 1.
    """
    x: Tensor = g / (g.norm(dim=(-2, -1), keepdim=True) * slack + 1e-6)
    if g.size(-2) > g.size(-1):
        for a, b, c in POLAR_EXPRESS:
            square = x.mT @ x
            polynomial = b * square + c * (square @ square)
            x = a * x + x @ polynomial
    else:
        for a, b, c in POLAR_EXPRESS:
            square = x @ x.mT
            polynomial = b * square + c * (square @ square)
            x = a * x + polynomial @ x
    return x


def muon_update(
    grads: Tensor,
    params: Tensor,
    moment: Tensor,
    variance: Tensor,
    momentum: Tensor,
    lr: Tensor,
    weight_decay: Tensor,
    beta2: Tensor,
    axis: int,
    in_bf16: bool,
    slack: float = SLACK,
) -> None:
    """Muon in place on ``params`` (N, R, C) and its moments; ``grads`` is overwritten.

    Args:
        variance: (N, R, 1) or (N, 1, C), averaged over ``axis``.
        momentum, lr, weight_decay, beta2: CPU scalars.
        in_bf16: orthogonalise in bf16; in the dtype of the gradients otherwise.
        slack: see ``orthogonalised``.
    """
    pull = momentum.to(grads.dtype)
    moment.lerp_(grads, 1 - pull)
    g = grads.lerp_(moment, pull)
    g = orthogonalised(g.bfloat16() if in_bf16 else g, slack)

    decay = beta2.to(g.dtype)
    mean = g.float().square().mean(dim=axis, keepdim=True)
    count = g.size(axis)
    norm = (mean.sum(dim=(-2, -1), keepdim=True) * count).sqrt()
    variance.lerp_(mean.to(dtype=variance.dtype), 1 - decay)
    size = variance.clamp_min(1e-10).rsqrt()
    scaled = (mean * count) * size.float().square()
    norm_scaled = scaled.sum(dim=(-2, -1), keepdim=True).sqrt()
    scale = size * (norm / norm_scaled.clamp_min(1e-10))
    g = g * scale.to(g.dtype)

    rate = lr.to(g.dtype)
    shrink = weight_decay.to(g.dtype)
    agrees = (g * params) >= 0
    params.sub_(rate * g + rate * shrink * params * agrees)


class MuonAdamW(torch.optim.Optimizer):
    """AdamW for groups of the kind ``adamw``, Muon for those of the kind ``muon``.

    Args:
        groups: each with ``kind``, ``params`` and its numbers; the parameters of a Muon group have one
            shape, and its state belongs to the first of them.
        compiled: whether the two updates go through ``torch.compile``, as in the original.
        in_bf16, slack: see ``muon_update``.
    """

    def __init__(
        self, groups: list[dict[str, Any]], *, compiled: bool, in_bf16: bool, slack: float = SLACK
    ) -> None:
        super().__init__(groups, defaults={})
        self._in_bf16 = in_bf16
        self._slack = slack
        self._adamw_update: Any = adamw_update
        self._muon_update: Any = muon_update
        if compiled:
            self._adamw_update = torch.compile(adamw_update, dynamic=False, fullgraph=True)
            self._muon_update = torch.compile(muon_update, dynamic=False, fullgraph=True)
        self._adamw_scalars = {name: torch.tensor(0.0) for name in _ADAMW_SCALARS}
        self._muon_scalars = {name: torch.tensor(0.0) for name in _MUON_SCALARS}

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            if group["kind"] == "adamw":
                self._step_adamw(group)
            else:
                self._step_muon(group)

    def _step_adamw(self, group: dict[str, Any]) -> None:
        for p in group["params"]:
            state = self.state[p]
            if not state:
                state["step"] = 0
                state["exp_avg"] = torch.zeros_like(p)
                state["exp_avg_sq"] = torch.zeros_like(p)
            state["step"] += 1
            beta1, beta2 = group["betas"]
            values = (state["step"], group["lr"], beta1, beta2, group["eps"], group["weight_decay"])
            for scalar, value in zip(self._adamw_scalars.values(), values, strict=True):
                scalar.fill_(value)
            self._adamw_update(
                p, p.grad, state["exp_avg"], state["exp_avg_sq"], *self._adamw_scalars.values()
            )

    def _step_muon(self, group: dict[str, Any]) -> None:
        params: list[Tensor] = group["params"]
        rows, columns = params[0].shape
        state = self.state[params[0]]
        if not state:
            for name, shape in moment_shapes(params).items():
                state[name] = torch.zeros(shape, dtype=params[0].dtype, device=params[0].device)
        grads = torch.stack([p.grad for p in params if p.grad is not None])
        stacked = torch.stack(params)
        rate = group["lr"] * max(1.0, rows / columns) ** 0.5
        values = (group["momentum"], rate, group["weight_decay"], group["beta2"])
        for scalar, value in zip(self._muon_scalars.values(), values, strict=True):
            scalar.fill_(value)
        self._muon_update(
            grads,
            stacked,
            state["momentum_buffer"],
            state["second_momentum_buffer"],
            *self._muon_scalars.values(),
            -1 if rows >= columns else -2,
            self._in_bf16,
            self._slack,
        )
        torch._foreach_copy_(params, list(stacked.unbind(0)))

    def blank_state(self) -> dict[str, Any]:
        """``state_dict`` after 1,000 steps, made without one: tensors of the right shapes, no values."""
        blank = self.state_dict()
        for group, numbered in zip(self.param_groups, blank["param_groups"], strict=True):
            params = group["params"]
            if group["kind"] == "muon":
                shapes = moment_shapes(params).items()
                blank["state"][numbered["params"][0]] = {
                    name: torch.empty(shape, dtype=params[0].dtype) for name, shape in shapes
                }
                continue
            for index, p in zip(numbered["params"], params, strict=True):
                moments = {name: torch.empty_like(p) for name in ("exp_avg", "exp_avg_sq")}
                blank["state"][index] = {"step": 1000, **moments}
        return blank


def moment_shapes(params: list[Tensor]) -> dict[str, tuple[int, ...]]:
    """Of a Muon group's two buffers: whole, and averaged over the shorter side."""
    rows, columns = params[0].shape
    averaged = (rows, 1) if rows >= columns else (1, columns)
    return {
        "momentum_buffer": (len(params), rows, columns),
        "second_momentum_buffer": (len(params), *averaged),
    }
