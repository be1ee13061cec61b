"""The model of autoresearch: value embeddings and mixed residuals of mid-2026 under the autocast of 2025.

Without the smear, the backout, the sharpened queries and the windows of mid-2026. Sources: see the package.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from nanocheck.core.architectures import AUTORESEARCH_GATE_CHANNELS
from nanocheck.core.config import StepConfig
from nanocheck.step.loss import loss_of
from nanocheck.step.nanochat import layers
from nanocheck.step.nanochat.layers import MLP, SOFTCAP, Embedding, Linear, Rotary, norm, rotate
from nanocheck.step.nanochat.release_2025 import ROTARY_BASE
from nanocheck.step.nanochat.release_2026 import has_value_embedding
from nanocheck.step.nanochat.windows import attention
from nanocheck.step.precision import compute_dtype


class Attention(nn.Module):
    """Causal attention, (B, T, C) -> (B, T, C), with gated value embeddings (B, T, C)."""

    def __init__(self, config: StepConfig, layer: int) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.c_q = Linear(config.n_embd, config.n_embd)
        self.c_k = Linear(config.n_embd, config.n_embd)
        self.c_v = Linear(config.n_embd, config.n_embd)
        self.c_proj = Linear(config.n_embd, config.n_embd)
        gated = has_value_embedding(layer, config.n_layer)
        self.ve_gate = Linear(AUTORESEARCH_GATE_CHANNELS, config.n_head) if gated else None

    def forward(self, x: Tensor, ve: Tensor | None, rotary: Rotary) -> Tensor:
        batch, length, width = x.size()
        shape = (batch, length, self.n_head, width // self.n_head)
        q = self.c_q(x).view(shape)
        k = self.c_k(x).view(shape)
        v = self.c_v(x).view(shape)
        if ve is not None:
            assert self.ve_gate is not None
            ve = ve.view(shape)
            gate = 2 * torch.sigmoid(self.ve_gate(x[..., :AUTORESEARCH_GATE_CHANNELS]))
            v = v + gate.unsqueeze(-1) * ve
        cos, sin = rotary
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        q, k = norm(q), norm(k)
        y = attention(q, k, v, length)
        y = y.contiguous().view(batch, length, -1)
        return self.c_proj(y)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, config: StepConfig, layer: int) -> None:
        super().__init__()
        self.attn = Attention(config, layer)
        self.mlp = MLP(config.n_embd)

    def forward(self, x: Tensor, ve: Tensor | None, rotary: Rotary) -> Tensor:
        x = x + self.attn(norm(x), ve, rotary)
        x = x + self.mlp(norm(x))
        return x  # noqa: RET504 (the old x is let go here)


class Autoresearch(nn.Module):
    """The model; its weights hold whatever was in memory until ``initialise``."""

    cos: Tensor
    sin: Tensor

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.config = config
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
        gated = [layer for layer in range(depth) if has_value_embedding(layer, depth)]
        self.value_embeds = nn.ModuleDict({str(layer): Embedding(rows, width) for layer in gated})
        self.loss = loss_of(config)
        cos, sin = layers.blank_tables(config, compute_dtype(config))
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, idx: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
        """Cross entropy in nats of ``targets`` (B, T), -1 ignored: the mean, or (``none``) one per token."""
        length = idx.size(1)
        rotary = self.cos[:, :length], self.sin[:, :length]
        x = self.transformer["wte"](idx)
        x = norm(x)
        x0 = x
        for layer, block in enumerate(cast(nn.ModuleList, self.transformer["h"])):
            x = self.resid_lambdas[layer] * x + self.x0_lambdas[layer] * x0
            name = str(layer)
            ve = self.value_embeds[name](idx) if name in self.value_embeds else None
            x = block(x, ve, rotary)
        x = norm(x)
        return self.loss(self.lm_head, x, targets, softcap=SOFTCAP, cap_in_fp32=True, reduction=reduction)[1]

    @torch.no_grad()
    def initialise(self) -> None:
        """Fill weights and tables where they are, reproducibly per device type; embeddings become bf16.

        Matrices and value embeddings uniform with std 1 / sqrt(C), the embedding normal(0, 1), the head
        normal(0, 0.001), residual projections and gates zero, residuals kept whole with 0.1 of the first.
        """
        device = self.lm_head.weight.device
        generator = torch.Generator(device=device).manual_seed(self.config.seed)
        bound = (3 / self.config.n_embd) ** 0.5
        for name, weight in self.named_parameters():
            if name == "transformer.wte.weight":
                weight.normal_(0.0, 1.0, generator=generator)
            elif name == "lm_head.weight":
                weight.normal_(0.0, 0.001, generator=generator)
            elif name.endswith(("c_proj.weight", "ve_gate.weight")):
                weight.zero_()
            elif weight.dim() == 2:
                weight.uniform_(-bound, bound, generator=generator)
        self.resid_lambdas.fill_(1.0)
        self.x0_lambdas.fill_(0.1)
        width = self.config.n_embd // self.config.n_head
        self.cos, self.sin = layers.rotary_tables(
            self.cos.size(1), width, ROTARY_BASE, self.cos.dtype, device
        )
        self.cast_embeddings()

    def cast_embeddings(self) -> None:
        """To bf16, where that is computed in; the original is for bf16 alone."""
        if self.config.dtype == "bf16":
            self.transformer["wte"].to(dtype=torch.bfloat16)
            for embedding in self.value_embeds.values():
                embedding.to(dtype=torch.bfloat16)
