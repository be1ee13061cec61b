"""The model of October 2025: rotary embeddings, QK norm, squared ReLU, an untied head, capped logits."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanocheck.core.config import StepConfig
from nanocheck.step.loss import loss_of
from nanocheck.step.nanochat.layers import (
    MLP,
    SOFTCAP,
    Embedding,
    Linear,
    Rotary,
    blank_tables,
    norm,
    rotary_tables,
    rotate,
)
from nanocheck.step.precision import compute_dtype

ROTARY_BASE = 10_000.0


class Attention(nn.Module):
    """Causal attention, (B, T, C) -> (B, T, C); queries and keys are rotated, then normalised."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_q = Linear(config.n_embd, config.n_embd)
        self.c_k = Linear(config.n_embd, config.n_embd)
        self.c_v = Linear(config.n_embd, config.n_embd)
        self.c_proj = Linear(config.n_embd, config.n_embd)

    def forward(self, x: Tensor, rotary: Rotary) -> Tensor:
        batch, length, width = x.size()
        shape = (batch, length, self.n_head, width // self.n_head)
        q = self.c_q(x).view(shape)
        k = self.c_k(x).view(shape)
        v = self.c_v(x).view(shape)
        cos, sin = rotary
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k = norm(q), norm(k)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(batch, length, -1)
        return self.c_proj(y)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.attn = Attention(config)
        self.mlp = MLP(config.n_embd)

    def forward(self, x: Tensor, rotary: Rotary) -> Tensor:
        x = x + self.attn(norm(x), rotary)
        x = x + self.mlp(norm(x))
        return x  # noqa: RET504 (the old x is let go here)


class Nanochat2025(nn.Module):
    """The model; its weights hold whatever was in memory until ``initialise``."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(
            {
                "wte": Embedding(config.vocab_size, config.n_embd),
                "h": nn.ModuleList([Block(config) for _ in range(config.n_layer)]),
            }
        )
        self.lm_head = Linear(config.n_embd, config.vocab_size)
        self.loss = loss_of(config)
        cos, sin = blank_tables(config, compute_dtype(config))
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)
        # The original is for bf16 alone; other dtypes have fp32 embeddings and tables of their own.
        if config.dtype == "bf16":
            self.transformer["wte"].to(dtype=torch.bfloat16)

    def forward(self, idx: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Cross entropy in nats of ``targets`` (B, T), -1 ignored: the mean, or (``none``) one per token."""
        length = idx.size(1)
        rotary = self.cos[:, :length], self.sin[:, :length]
        x = self.transformer["wte"](idx)
        x = norm(x)
        for block in cast(nn.ModuleList, self.transformer["h"]):
            x = block(x, rotary)
        x = norm(x)
        return self.loss(self.lm_head, x, targets, softcap=SOFTCAP, reduction=reduction)[1]

    @torch.no_grad()
    def initialise(self) -> None:
        """Fill weights and tables where they are, reproducibly per device type.

        Linear layers normal with std min(1, sqrt(out / in)) / sqrt(in), the embedding normal(0, 1); head
        and residual projections zero.
        """
        device = self.lm_head.weight.device
        generator = torch.Generator(device=device).manual_seed(self.config.seed)
        for name, weight in self.named_parameters():
            if name.endswith("c_proj.weight") or name == "lm_head.weight":
                weight.zero_()
            elif name == "transformer.wte.weight":
                weight.normal_(0.0, 1.0, generator=generator)
            else:
                fan_out, fan_in = weight.shape
                std = 1.0 / math.sqrt(fan_in) * min(1.0, math.sqrt(fan_out / fan_in))
                weight.normal_(0.0, std, generator=generator)
        width = self.config.n_embd // self.config.n_head
        self.cos, self.sin = rotary_tables(self.cos.size(1), width, ROTARY_BASE, self.cos.dtype, device)

    def cast_embeddings(self) -> None:
        """Nothing: they are cast from the beginning."""
