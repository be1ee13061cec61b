"""The same training, written down a second time from the formulas, to check the first against.

It shares nothing with the reference step but the initial weights and the drawing of window starts: plain
functions instead of modules, softmax attention with a written-out mask instead of SDPA, cross entropy
from ``logsumexp``, ``torch.autograd.grad`` instead of ``.grad``, and AdamW (Loshchilov and Hutter 2019,
algorithm 2) by hand. Everything in one format, fp32 or fp64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nanocheck.core.config import StepConfig
from nanocheck.step.model import GPT, initialise

Weights = dict[str, Tensor]


def textbook_run(
    config: StepConfig, device: str, tokens: Sequence[int], steps: int, dtype: torch.dtype
) -> tuple[list[float], list[float], Weights]:
    """Losses, norms and the weights in the end. In fp64: the oracle that rounding is measured against."""
    model = GPT(config).to(device)
    initialise(model, config)
    weights = {name: p.detach().to(dtype, copy=True).requires_grad_() for name, p in model.named_parameters()}
    first = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    second = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    draws = torch.Generator().manual_seed(config.seed)
    losses, norms = [], []
    for step in range(1, steps + 1):
        total, gradients = 0.0, {name: torch.zeros_like(weight) for name, weight in weights.items()}
        for _ in range(config.accumulation):
            inputs, targets = _batch(config, tokens, draws)
            loss = _loss(config, weights, inputs.to(device), targets.to(device)) / config.accumulation
            total += loss.item()
            for name, gradient in zip(
                weights, torch.autograd.grad(loss, list(weights.values())), strict=True
            ):
                gradients[name] += gradient
        norm = math.sqrt(sum(gradient.double().square().sum().item() for gradient in gradients.values()))
        clip = min(1.0, 1.0 / (norm + 1e-6))
        with torch.no_grad():
            for name, weight in weights.items():
                _adamw(weight, gradients[name] * clip, first[name], second[name], step)
        losses.append(total)
        norms.append(norm)
    return losses, norms, weights


def _batch(config: StepConfig, tokens: Sequence[int], draws: torch.Generator) -> tuple[Tensor, Tensor]:
    starts = torch.randint(len(tokens) - config.block_size, (config.batch,), generator=draws).tolist()
    windows = torch.tensor([list(tokens[start : start + config.block_size + 1]) for start in starts])
    return windows[:, :-1], windows[:, 1:]


def _loss(config: StepConfig, w: Weights, inputs: Tensor, targets: Tensor) -> Tensor:
    length = inputs.shape[1]
    embedding = w["lm_head.weight"] if "lm_head.weight" in w else w["transformer.wte.weight"]
    x = embedding[inputs] + w["transformer.wpe.weight"][:length]
    future = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
    for layer in range(config.n_layer):
        p = f"transformer.h.{layer}."
        x = x + _attention(config, w, p + "attn.", _norm(w, p + "ln_1.", x), future)
        hidden = _linear(w, p + "mlp.c_fc.", _norm(w, p + "ln_2.", x))
        hidden = hidden * 0.5 * (1.0 + torch.erf(hidden / math.sqrt(2.0)))
        x = x + _linear(w, p + "mlp.c_proj.", hidden)
    logits = _norm(w, "transformer.ln_f.", x) @ embedding.T
    right = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return (logits.logsumexp(-1) - right).mean()


def _attention(config: StepConfig, w: Weights, p: str, x: Tensor, future: Tensor) -> Tensor:
    heads, width = config.n_head, config.n_embd // config.n_head
    qkv = _linear(w, p + "c_attn.", x).view(*x.shape[:2], 3, heads, width)
    q, k, v = (qkv[:, :, part].transpose(1, 2) for part in range(3))
    scores = (q @ k.transpose(-2, -1) / math.sqrt(width)).masked_fill(future, -math.inf)
    return _linear(w, p + "c_proj.", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def _norm(w: Weights, p: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    scaled = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[p + "weight"]
    return scaled + w[p + "bias"] if p + "bias" in w else scaled


def _linear(w: Weights, p: str, x: Tensor) -> Tensor:
    product = x @ w[p + "weight"].T
    return product + w[p + "bias"] if p + "bias" in w else product


def _adamw(weight: Tensor, gradient: Tensor, first: Tensor, second: Tensor, step: int) -> None:
    """lr 6e-4, betas 0.9 and 0.95, decay 0.1 on matrices: nanoGPT's defaults, written out again."""
    if weight.dim() >= 2:
        weight -= 6e-4 * 0.1 * weight
    first += (1 - 0.9) * (gradient - first)
    second += (1 - 0.95) * (gradient * gradient - second)
    unbiased, scale = first / (1 - 0.9**step), second / (1 - 0.95**step)
    weight -= 6e-4 * unbiased / (scale.sqrt() + 1e-8)
