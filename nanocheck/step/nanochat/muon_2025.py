"""The optimizers of October 2025: PyTorch's fused AdamW for embedding and head, Muon for matrices.

Muon (Keller Jordan, https://kellerjordan.github.io/posts/muon): momentum, whose matrix is then brought near
the closest orthogonal one by five Newton-Schulz iterations in bf16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nanocheck.core.config import StepConfig
from nanocheck.step.nanochat.layers import width_scale
from nanocheck.step.nanochat.release_2025 import Nanochat2025
from nanocheck.step.optimizer import blank_state

#: a, b and c of x -> a x + b x^3 + c x^5, chosen for a steep slope at zero.
QUINTIC = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
MOMENTUM = 0.95
MATRIX_RATE, EMBEDDING_RATE, HEAD_RATE = 0.02, 0.2, 0.004


def orthogonalised(gradient: Tensor, iterations: int) -> Tensor:
    """In bf16, a matrix with the singular vectors of ``gradient`` and singular values of about 0.7 to 1.2."""
    a, b, c = QUINTIC
    x: Tensor = gradient.bfloat16()
    if gradient.size(-2) > gradient.size(-1):
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(iterations):
        square = x @ x.mT
        polynomial = b * square + c * square @ square
        x = a * x + polynomial @ x
    if gradient.size(-2) > gradient.size(-1):
        x = x.mT
    return x


class Muon(torch.optim.Optimizer):
    """One group for each number of elements, in the order in which the parameters come.

    Args:
        parameters: matrices.
        compiled: whether the orthogonalisation goes through ``torch.compile``, as in the original.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], compiled: bool) -> None:
        sizes = dict.fromkeys(each.numel() for each in parameters)
        groups = [{"params": [each for each in parameters if each.numel() == size]} for size in sizes]
        super().__init__(groups, {"lr": MATRIX_RATE, "momentum": MOMENTUM})
        self._orthogonalised: Callable[[Tensor, int], Tensor] = (
            torch.compile(orthogonalised) if compiled else orthogonalised
        )

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                g = p.grad
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(g)
                buffer: Tensor = state["momentum_buffer"]
                buffer.lerp_(g, 1 - group["momentum"])
                g = g.lerp_(buffer, group["momentum"])
                g = self._orthogonalised(g, ITERATIONS)
                p.add_(g, alpha=-group["lr"] * max(1, p.size(-2) / p.size(-1)) ** 0.5)


class Pair:
    """AdamW and Muon as one: what the loop, the loss scaler and checkpoints ask of an optimizer."""

    def __init__(self, adamw: torch.optim.AdamW, muon: Muon) -> None:
        self.both: tuple[torch.optim.Optimizer, ...] = (adamw, muon)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for each in self.both for group in each.param_groups]

    def step(self) -> None:
        for each in self.both:
            each.step()

    def state_dict(self) -> dict[str, Any]:
        return {"both": [each.state_dict() for each in self.both]}

    def blank_state(self) -> dict[str, Any]:
        """``state_dict`` after a step, made without one: tensors of the right shapes, no values."""
        adamw, muon = self.both
        moments = muon.state_dict()
        parameters = [each for group in muon.param_groups for each in group["params"]]
        moments["state"] = {
            index: {"momentum_buffer": torch.empty_like(each)} for index, each in enumerate(parameters)
        }
        return {"both": [blank_state(adamw), moments]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for each, own in zip(self.both, state["both"], strict=True):
            each.load_state_dict(own)


def build_pair(model: Nanochat2025, config: StepConfig) -> Pair:
    """AdamW over head and embedding (betas 0.8 and 0.95, eps 1e-10, no decay), Muon over the blocks."""
    scale = width_scale(config)
    groups = [
        {"params": [model.lm_head.weight], "lr": HEAD_RATE * scale},
        {"params": list(model.transformer["wte"].parameters()), "lr": EMBEDDING_RATE * scale},
    ]
    adamw = torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    return Pair(adamw, Muon(list(model.transformer["h"].parameters()), config.compile != "off"))
