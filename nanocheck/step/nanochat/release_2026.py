"""The model of mid-2026: value embeddings, mixed residuals, smear, backout and attention windows.

There is no autocast: a linear layer casts its fp32 weights to the dtype of its input, where it uses them.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanocheck.core.architectures import GATE_CHANNELS, SMEAR_CHANNELS
from nanocheck.core.config import StepConfig
from nanocheck.step.loss import loss_of
from nanocheck.step.nanochat import layers
from nanocheck.step.nanochat.layers import MLP, SOFTCAP, Embedding, Rotary, norm, rotate
from nanocheck.step.nanochat.windows import attention, window_lengths
from nanocheck.step.precision import compute_dtype

ROTARY_BASE = 100_000.0
#: Queries and keys are scaled by this after their norm.
SHARPNESS = 1.2


class Linear(layers.Linear):
    """Casts its weights to the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.weight.to(dtype=x.dtype))


def has_value_embedding(layer: int, depth: int) -> bool:
    """Every other layer, the last one among them."""
    return layer % 2 == (depth - 1) % 2


class Attention(nn.Module):
    """Causal attention in a window, (B, T, C) -> (B, T, C), with gated value embeddings (B, T, C)."""

    def __init__(self, config: StepConfig, layer: int) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_q = Linear(config.n_embd, config.n_embd)
        self.c_k = Linear(config.n_embd, config.n_embd)
        self.c_v = Linear(config.n_embd, config.n_embd)
        self.c_proj = Linear(config.n_embd, config.n_embd)
        gated = has_value_embedding(layer, config.n_layer)
        self.ve_gate = Linear(GATE_CHANNELS, config.n_head) if gated else None

    def forward(self, x: Tensor, ve: Tensor | None, rotary: Rotary, window: int) -> Tensor:
        batch, length, width = x.size()
        shape = (batch, length, self.n_head, width // self.n_head)
        q = self.c_q(x).view(shape)
        k = self.c_k(x).view(shape)
        v = self.c_v(x).view(shape)
        if ve is not None:
            assert self.ve_gate is not None
            ve = ve.view(shape)
            gate = 3 * torch.sigmoid(self.ve_gate(x[..., :GATE_CHANNELS]))
            v = v + gate.unsqueeze(-1) * ve
        cos, sin = rotary
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k = norm(q), norm(k)
        q = q * SHARPNESS
        k = k * SHARPNESS
        y = attention(q, k, v, window)
        y = y.contiguous().view(batch, length, -1)
        return self.c_proj(y)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, config: StepConfig, layer: int) -> None:
        super().__init__()
        self.attn = Attention(config, layer)
        self.mlp = MLP(config.n_embd, Linear)

    def forward(self, x: Tensor, ve: Tensor | None, rotary: Rotary, window: int) -> Tensor:
        x = x + self.attn(norm(x), ve, rotary, window)
        x = x + self.mlp(norm(x))
        return x  # noqa: RET504 (the old x is let go here)


class Nanochat2026(nn.Module):
    """The model; its weights hold whatever was in memory until ``initialise``."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.config = config
        self.windows = window_lengths(config)
        depth, rows, width = config.n_layer, config.vocab_size, config.n_embd
        self.transformer = nn.ModuleDict(
            {
                "wte": Embedding(rows, width),
                "h": nn.ModuleList([Block(config, layer) for layer in range(depth)]),
            }
        )
        self.lm_head = Linear(width, rows)
        self.resid_lambdas = nn.Parameter(torch.empty(depth))
        self.x0_lambdas = nn.Parameter(torch.empty(depth))
        self.smear_gate = Linear(SMEAR_CHANNELS, 1)
        self.smear_lambda = nn.Parameter(torch.empty(1))
        self.backout_lambda = nn.Parameter(torch.empty(1))
        self.value_embeds = nn.ModuleDict(
            {
                str(layer): Embedding(rows, width)
                for layer in range(depth)
                if has_value_embedding(layer, depth)
            }
        )
        self.loss = loss_of(config)
        cos, sin = layers.blank_tables(config, compute_dtype(config))
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, idx: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Cross entropy in nats of ``targets`` (B, T), -1 ignored: the mean, or (``none``) one per token."""
        length = idx.size(1)
        rotary = self.cos[:, :length], self.sin[:, :length]
        x = self.transformer["wte"](idx)
        x = x.to(self.cos.dtype)
        x = norm(x)
        # Smear: a token sees a little of the one before it.
        gate = self.smear_lambda.to(x.dtype) * torch.sigmoid(self.smear_gate(x[:, 1:, :SMEAR_CHANNELS]))
        x = torch.cat([x[:, :1], x[:, 1:] + gate * x[:, :-1]], dim=1)
        x0 = x
        middle = self.config.n_layer // 2
        x_backout = None
        for layer, block in enumerate(cast(nn.ModuleList, self.transformer["h"])):
            x = self.resid_lambdas[layer] * x + self.x0_lambdas[layer] * x0
            name = str(layer)
            ve = self.value_embeds[name](idx).to(x.dtype) if name in self.value_embeds else None
            x = block(x, ve, rotary, self.windows[layer])
            if layer == middle:
                x_backout = x
        # Backout: what the middle layer had is taken away again.
        if x_backout is not None:
            x = x - self.backout_lambda.to(x.dtype) * x_backout
        x = norm(x)
        return self.loss(self.lm_head, x, targets, softcap=SOFTCAP, cap_in_fp32=True, reduction=reduction)[1]

    @torch.no_grad()
    def initialise(self) -> None:
        """Fill weights and tables where they are, reproducibly per device type; embeddings become bf16.

        Matrices uniform with std 1 / sqrt(C), 0.4 of it for ``c_fc``; the embedding normal(0, 0.8), the head
        normal(0, 0.001), residual projections zero, gates uniform in 0 to 0.02.
        """
        device, depth = self.lm_head.weight.device, self.config.n_layer
        generator = torch.Generator(device=device).manual_seed(self.config.seed)
        bound = (3 / self.config.n_embd) ** 0.5
        for name, weight in self.named_parameters():
            if name == "transformer.wte.weight":
                weight.normal_(0.0, 0.8, generator=generator)
            elif name == "lm_head.weight":
                weight.normal_(0.0, 0.001, generator=generator)
            elif name.endswith("c_proj.weight") or name == "smear_lambda":
                weight.zero_()
            elif name.endswith("gate.weight"):
                weight.uniform_(0.0, 0.02, generator=generator)
            elif name == "backout_lambda":
                weight.fill_(0.2)
            elif weight.dim() == 2:
                limit = 0.4 * bound if name.endswith("c_fc.weight") else bound
                weight.uniform_(-limit, limit, generator=generator)
        for layer in range(depth):
            done = layer / max(depth - 1, 1)
            self.resid_lambdas[layer] = 1.15 - 0.10 * done
            self.x0_lambdas[layer] = 0.20 - 0.15 * done
        width = self.config.n_embd // self.config.n_head
        self.cos, self.sin = layers.rotary_tables(
            self.cos.size(1), width, ROTARY_BASE, self.cos.dtype, device
        )
        self.cast_embeddings()

    def cast_embeddings(self) -> None:
        """To the dtype computed in, where that is bf16; a loss scaler cannot unscale fp16 gradients."""
        if self.config.dtype == "bf16":
            self.transformer["wte"].to(dtype=torch.bfloat16)
            for embedding in self.value_embeds.values():
                embedding.to(dtype=torch.bfloat16)
