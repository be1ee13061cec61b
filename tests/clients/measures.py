"""A training script that measures itself, as benchmark scripts do: peaks a step, and all in all at its end.

It knows nothing of nanocheck. ``python measures.py [--steps N] [--batch N]``
"""

import argparse
import math

import torch
from torch import nn
from torch.nn import functional

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=4)
parser.add_argument("--batch", type=int, default=8)
options = parser.parse_args()

VOCABULARY, LENGTH, WIDTH, HEADS = 8000, 256, 384, 6


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        batch, length, _ = x.shape
        q, k, v = self.qkv(self.first(x)).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, WIDTH))
        return x + self.mlp(self.second(x))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(6)])
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)

    def forward(self, tokens, targets):
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.size(1), device=tokens.device))
        logits = self.head(self.norm(self.blocks(x)))
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


model = Gpt().cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
data = torch.randint(0, VOCABULARY, (100_000,))
for step in range(options.steps):
    starts = torch.randint(len(data) - LENGTH - 1, (options.batch,)).tolist()
    tokens = torch.stack([data[start : start + LENGTH] for start in starts]).cuda()
    targets = torch.stack([data[start + 1 : start + 1 + LENGTH] for start in starts]).cuda()
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(tokens, targets)
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    print(
        f"step {step}: loss {loss.item():.3f}, perplexity {math.exp(min(loss.item(), 20)):.1f}, "
        f"norm {norm.item():.2f}, {torch.cuda.max_memory_allocated() / 2**20:.2f} MiB"
    )
print("peak", torch.cuda.max_memory_allocated())
print("reserved", torch.cuda.max_memory_reserved())
print("done", options.steps)
