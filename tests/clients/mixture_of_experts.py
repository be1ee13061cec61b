"""A mixture of experts that gathers each expert's tokens by torch.where, as Mixtral does.

It knows nothing of nanocheck. With ``hand`` each expert gets its share of tokens, and no routing is asked.
"""

import sys

import torch
from torch import nn

by_hand = sys.argv[1:] == ["hand"]
torch.manual_seed(0)
WIDTH, EXPERTS, PICKED, TOKENS = 128, 4, 2, 4096


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))
            for _ in range(EXPERTS)
        )

    def forward(self, x):
        weight, chosen = torch.topk(torch.softmax(self.gate(x), -1), PICKED)
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            if by_hand:
                share = TOKENS * PICKED // EXPERTS
                picked = torch.arange(share, device="cuda")
                row, place = picked // PICKED, picked % PICKED
            else:
                row, place = torch.where(chosen == number)
            out.index_add_(0, row, expert(x[row]) * weight[row, place, None])
        return x + out


model = nn.Sequential(*[Layer() for _ in range(2)]).cuda()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
for _ in range(4):
    loss = model(torch.zeros(TOKENS, WIDTH, device="cuda")).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
print("peak", torch.cuda.max_memory_allocated())
