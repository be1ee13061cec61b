"""A GPT over sequences packed end to end, with FlashAttention over their boundaries (``varlen_attn``), bf16.

It knows nothing of nanocheck. Sequences have different lengths; each step packs as many as fit in a row.
Where they begin is read from their positions on the card; with ``hand`` the host, which made them, says it.
"""

import itertools
import random
import sys

import torch
from torch import nn
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn

VOCABULARY, WIDTH, HEADS, ROOM = 8000, 256, 4, 4096


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, boundaries, longest):
        qkv = self.qkv(self.before(x)).view(-1, 3, HEADS, WIDTH // HEADS)
        mixed = varlen_attn(*qkv.unbind(1), boundaries, boundaries, longest, longest, window_size=(-1, 0))
        x = x + self.out(mixed.flatten(1))
        return x + self.down(functional.gelu(self.up(self.between(x))))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCABULARY, WIDTH), nn.Embedding(1024, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(4))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens, positions, boundaries):
        longest = int((boundaries[1:] - boundaries[:-1]).max())
        x = self.tokens(tokens) + self.positions(positions)
        for block in self.blocks:
            x = block(x, boundaries, longest)
        return self.head(self.norm(x))


by_hand = sys.argv[1:] == ["hand"]
random.seed(0)
torch.manual_seed(0)
model = Gpt().cuda()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
for _ in range(6):
    lengths = []
    while sum(lengths) + 1024 <= ROOM:
        lengths.append(random.randint(64, 1024))
    positions = torch.cat([torch.arange(length) for length in lengths]).cuda()
    tokens = torch.randint(VOCABULARY, (len(positions),)).cuda()
    if by_hand:
        boundaries = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32).cuda()
    else:
        starts = (positions == 0).nonzero().flatten()
        boundaries = functional.pad(starts, (0, 1), value=len(positions)).int()
        del starts
    labels = tokens.roll(-1).masked_fill(positions.roll(-1) == 0, -100)
    with torch.autocast("cuda", torch.bfloat16):
        logits = model(tokens, positions, boundaries)
    loss = functional.cross_entropy(logits.float(), labels)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print("sequences", len(boundaries) - 1)
print("packed", len(lengths))
print("peak", torch.cuda.max_memory_allocated())
