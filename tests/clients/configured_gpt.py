"""A GPT-2 trained as nanoGPT trains it: settings at the top, a file of Python lines may change them.

python configured_gpt.py settings.py
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

batch_size, gradient_accumulation_steps, block_size = 12, 40, 1024
n_layer, n_head, n_embd, bias = 12, 12, 768, False
dtype, compile = "bfloat16", True
vocabulary, max_iters, eval_iters = 50304, 4, 2
exec(Path(sys.argv[1]).read_text())


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=bias)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.size()
        q, k, v = self.c_attn(x).split(n_embd, dim=2)
        q, k, v = (each.view(b, t, n_head, c // n_head).transpose(1, 2) for each in (q, k, v))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(b, t, c))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.attn = nn.LayerNorm(n_embd, bias=bias), Attention()
        self.ln_2 = nn.LayerNorm(n_embd, bias=bias)
        self.c_fc = nn.Linear(n_embd, 4 * n_embd, bias=bias)
        self.c_proj = nn.Linear(4 * n_embd, n_embd, bias=bias)

    def mlp(self, x: Tensor) -> Tensor:
        x = self.c_fc(x)
        x = functional.gelu(x)
        return self.c_proj(x)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        x = x + self.mlp(self.ln_2(x))
        return x  # noqa: RET504


class GPT(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, n_embd), nn.Embedding(block_size, n_embd)
        self.h = nn.ModuleList(Block() for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd, bias=bias)
        self.lm_head = nn.Linear(n_embd, vocabulary, bias=False)
        self.wte.weight = self.lm_head.weight

    def forward(self, idx: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        token, position = self.wte(idx), self.wpe(torch.arange(idx.size(1), device=idx.device))
        x = token + position
        for block in self.h:
            x = block(x)
        logits = self.lm_head(self.ln_f(x))
        return logits, functional.cross_entropy(logits.view(-1, vocabulary), targets.view(-1))


def get_batch() -> tuple[Tensor, Tensor]:
    tokens = torch.randint(vocabulary, (batch_size, block_size + 1))
    x, y = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    return x.pin_memory().cuda(non_blocking=True), y.pin_memory().cuda(non_blocking=True)


@torch.no_grad()
def estimate_loss() -> None:
    model.eval()
    for _ in range(2 * eval_iters):
        with ctx:
            logits, loss = model(*get_batch())  # noqa: RUF059 (nanoGPT names them, too)
        loss.item()
    model.train()


half = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[dtype]
ctx = nullcontext() if dtype == "float32" else torch.autocast("cuda", half)
raw = GPT().cuda()
scaler = torch.amp.GradScaler("cuda", enabled=dtype == "float16")
groups = [
    {"params": [p for p in raw.parameters() if p.dim() >= 2], "weight_decay": 0.1},
    {"params": [p for p in raw.parameters() if p.dim() < 2], "weight_decay": 0.0},
]
optimizer = torch.optim.AdamW(groups, lr=6e-4, betas=(0.9, 0.95), fused=True)
model = torch.compile(raw) if compile else raw
X, Y = get_batch()
for step in range(max_iters):
    if step == 0:
        estimate_loss()
    for _ in range(gradient_accumulation_steps):
        with ctx:
            logits, loss = model(X, Y)
            loss = loss / gradient_accumulation_steps
        X, Y = get_batch()
        scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad(set_to_none=True)
    print(f"step {step}: loss {loss.item() * gradient_accumulation_steps:.3f}")
print(f"peak {torch.cuda.max_memory_allocated()}")
