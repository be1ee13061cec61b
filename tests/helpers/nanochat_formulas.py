"""nanochat's two models and autoresearch's once more, from formulas: plain functions, in fp32."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from nanocheck.core.config import StepConfig

Weights = Mapping[str, Tensor]


def loss(config: StepConfig, w: Weights, idx: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy in nats."""
    forward = {"nanochat-2025": _forward_2025, "nanochat-2026": _forward_2026}.get(
        config.model, _forward_autoresearch
    )
    logits = forward(config, w, idx) @ w["lm_head.weight"].T
    logits = 15 * torch.tanh(logits / 15)
    right = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (logits.logsumexp(-1) - right).mean()


def _forward_2025(config: StepConfig, w: Weights, idx: Tensor) -> Tensor:
    x = _norm(w["transformer.wte.weight"][idx])
    for layer in range(config.n_layer):
        p = f"transformer.h.{layer}."
        h = _norm(x)
        values = h @ w[p + "attn.c_v.weight"].T
        x = x + _attention(config, w, p, h, values, 1e4, 1.0, idx.shape[1])
        x = x + _mlp(w, p, _norm(x))
    return _norm(x)


def _forward_2026(config: StepConfig, w: Weights, idx: Tensor) -> Tensor:
    depth, length = config.n_layer, idx.shape[1]
    x = _norm(w["transformer.wte.weight"][idx])
    previous = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)
    x = x + w["smear_lambda"] * torch.sigmoid(x[..., :24] @ w["smear_gate.weight"].T) * previous
    first = middle = x
    for layer in range(depth):
        p = f"transformer.h.{layer}."
        x = w["resid_lambdas"][layer] * x + w["x0_lambdas"][layer] * first
        h = _norm(x)
        values = h @ w[p + "attn.c_v.weight"].T
        if (depth - 1 - layer) % 2 == 0:
            gate = 3 * torch.sigmoid(h[..., :12] @ w[p + "attn.ve_gate.weight"].T)
            added = w[f"value_embeds.{layer}.weight"][idx]
            values = values + gate.repeat_interleave(config.n_embd // config.n_head, -1) * added
        short = config.window[layer % len(config.window)] == "S" and layer < depth - 1
        window = 128 * math.ceil(config.block_size // 4 / 128) if short else length
        x = x + _attention(config, w, p, h, values, 1e5, 1.2, window)
        x = x + _mlp(w, p, _norm(x))
        if layer == depth // 2:
            middle = x
    return _norm(x - w["backout_lambda"] * middle)


def _forward_autoresearch(config: StepConfig, w: Weights, idx: Tensor) -> Tensor:
    first = x = _norm(w["transformer.wte.weight"][idx])
    for layer in range(config.n_layer):
        p = f"transformer.h.{layer}."
        x = w["resid_lambdas"][layer] * x + w["x0_lambdas"][layer] * first
        h = _norm(x)
        values = h @ w[p + "attn.c_v.weight"].T
        if (config.n_layer - 1 - layer) % 2 == 0:
            gate = 2 * torch.sigmoid(h[..., :32] @ w[p + "attn.ve_gate.weight"].T)
            added = w[f"value_embeds.{layer}.weight"][idx]
            values = values + gate.repeat_interleave(config.n_embd // config.n_head, -1) * added
        x = x + _attention(config, w, p, h, values, 1e4, 1.0, idx.shape[1])
        x = x + _mlp(w, p, _norm(x))
    return _norm(x)


def _attention(
    config: StepConfig, w: Weights, p: str, h: Tensor, values: Tensor, base: float, sharp: float, window: int
) -> Tensor:
    batch, length, width = h.shape
    heads, size = config.n_head, width // config.n_head
    turned = []
    for name in "qk":
        x = (h @ w[f"{p}attn.c_{name}.weight"].T).view(batch, length, heads, size)
        turned.append(sharp * _norm(_rotate(x, base)).transpose(1, 2))
    q, k = turned
    v = values.view(batch, length, heads, size).transpose(1, 2)
    distance = torch.arange(length).unsqueeze(1) - torch.arange(length)
    hidden = (distance < 0) | (distance > window)
    scores = (q @ k.mT / math.sqrt(size)).masked_fill(hidden, -math.inf)
    return (scores.softmax(-1) @ v).transpose(1, 2).reshape(h.shape) @ w[p + "attn.c_proj.weight"].T


def _rotate(x: Tensor, base: float) -> Tensor:
    """Pairs (i, i + D / 2) as complex numbers, turned by minus t / base ** (2 i / D)."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[1]).unsqueeze(1) * base ** (-torch.arange(half) / half)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.exp(-1j * angles).unsqueeze(1)
    return torch.cat([turned.real, turned.imag], -1)


def _mlp(w: Weights, p: str, x: Tensor) -> Tensor:
    return (x @ w[p + "mlp.c_fc.weight"].T).clamp_min(0) ** 2 @ w[p + "mlp.c_proj.weight"].T


def _norm(x: Tensor) -> Tensor:
    return x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt()
