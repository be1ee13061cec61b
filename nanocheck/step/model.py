"""A GPT-2 whose tensors are made, kept and dropped exactly where nanoGPT's are.

The reference is ``model.py`` of https://github.com/karpathy/nanoGPT (GPT-2 without dropout). What
must agree for equal peaks: the order of the parameters (``Module.to`` allocates them one by one), the
module nesting (a caller's frame keeps a module's input alive while the module runs), the local names
that live until ``forward`` returns (``tok_emb`` and ``pos_emb``), and the layout of q, k and v.
Dropout modules are left out: ``torch.dropout`` with p = 0 returns its input.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from nanocheck.core.config import StepConfig
from nanocheck.step.loss import loss_of

INIT_STD = 0.02


class _Linear(nn.Linear):
    """A linear layer born without random numbers; ``initialise`` fills it on the device."""

    def reset_parameters(self) -> None:
        pass


class _Embedding(nn.Embedding):
    """An embedding born without random numbers; ``initialise`` fills it on the device."""

    def reset_parameters(self) -> None:
        pass


class LayerNorm(nn.Module):
    """Layer norm over the last dimension with an optional bias; eps 1e-5."""

    def __init__(self, width: int, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.bias = nn.Parameter(torch.empty(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return functional.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class CausalSelfAttention(nn.Module):
    """(B, T, C) -> (B, T, C); q, k and v come out of one matmul and stay strided views of it."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.c_attn = _Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = _Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.n_head = config.n_head

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = attention_inputs(self.c_attn(x), self.n_head)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=0.0, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(x.shape)
        return self.c_proj(y)  # type: ignore[no-any-return]


def attention_inputs(qkv: Tensor, n_head: int) -> tuple[Tensor, Tensor, Tensor]:
    """q, k, v of shape (B, H, T, C / H) as views of one (B, T, 3 C) tensor, nanoGPT's layout."""
    batch, length, triple = qkv.shape
    width = triple // 3
    shape = (batch, length, n_head, width // n_head)
    q, k, v = torch.split(qkv, width, dim=2)
    return q.view(shape).transpose(1, 2), k.view(shape).transpose(1, 2), v.view(shape).transpose(1, 2)


class MLP(nn.Module):
    """(B, T, C) -> (B, T, 4 C) -> (B, T, C) around an exact GELU."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.c_fc = _Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.gelu = nn.GELU()
        self.c_proj = _Linear(4 * config.n_embd, config.n_embd, bias=config.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        x = self.gelu(x)
        return self.c_proj(x)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(config.n_embd, config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = LayerNorm(config.n_embd, config.bias)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x  # noqa: RET504 (nanoGPT lets go of the old x here, not when the frame ends)


class GPT(nn.Module):
    """GPT-2 with a tied head. Its weights hold whatever was in memory until ``initialise``."""

    def __init__(self, config: StepConfig) -> None:
        super().__init__()
        self.block_size = config.block_size
        self.transformer = nn.ModuleDict(
            {
                "wte": _Embedding(config.vocab_size, config.n_embd),
                "wpe": _Embedding(config.block_size, config.n_embd),
                "h": nn.ModuleList([Block(config) for _ in range(config.n_layer)]),
                "ln_f": LayerNorm(config.n_embd, config.bias),
            }
        )
        self.lm_head = _Linear(config.n_embd, config.vocab_size, bias=False)
        self.transformer["wte"].weight = self.lm_head.weight
        self.loss = loss_of(config)

    def forward(self, idx: Tensor, targets: Tensor) -> tuple[Tensor | None, Tensor]:
        """Logits of shape (B, T, V) and the mean cross entropy in nats of ``targets`` (B, T), -1 ignored."""
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
        # Both embeddings keep their names on purpose: nanoGPT holds them until forward returns.
        tok_emb = self.transformer["wte"](idx)
        pos_emb = self.transformer["wpe"](pos)
        x = tok_emb + pos_emb
        for block in cast(nn.ModuleList, self.transformer["h"]):
            x = block(x)
        x = self.transformer["ln_f"](x)
        return self.loss(self.lm_head, x, targets)

    def next_logits(self, idx: Tensor) -> Tensor:
        """Logits (B, 1, V) of the token that follows ``idx`` (B, T): nanoGPT's forward without targets.

        Not shared with ``forward``, whose names must live until it returns: its peak hangs on them.
        """
        pos = torch.arange(0, idx.size(1), dtype=torch.long, device=idx.device)
        tok_emb = self.transformer["wte"](idx)
        pos_emb = self.transformer["wpe"](pos)
        x = tok_emb + pos_emb
        for block in cast(nn.ModuleList, self.transformer["h"]):
            x = block(x)
        x = self.transformer["ln_f"](x)
        return self.lm_head(x[:, [-1], :])  # type: ignore[no-any-return]


@torch.no_grad()
def initialise(model: GPT, config: StepConfig) -> None:
    """Fill the weights where they are, reproducibly per device type, allocating nothing there.

    Matrices are normal(0, 0.02), residual projections normal(0, 0.02 / sqrt(2 n_layer)), norm weights
    1 and biases 0: the GPT-2 paper's scheme as nanoGPT applies it.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device=device).manual_seed(config.seed)
    residual_std = INIT_STD / math.sqrt(2 * config.n_layer)
    for name, whole in model.named_parameters():
        # Of a sharded parameter this rank fills its own part.
        parameter = whole.to_local() if hasattr(whole, "to_local") else whole
        if parameter.dim() >= 2:
            std = residual_std if name.endswith("c_proj.weight") else INIT_STD
            parameter.normal_(0.0, std, generator=generator)
        elif name.endswith("weight"):
            parameter.fill_(1.0)
        else:
            parameter.zero_()
