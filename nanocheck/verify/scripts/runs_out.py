"""Doubles its batch until the card is full; nobody catches the error."""

import last_words
import torch
from torch import nn

WIDTH = 4096
last_words.at_exit()
torch.manual_seed(1)
model = nn.Sequential(*(nn.Linear(WIDTH, WIDTH) for _ in range(4))).cuda()
optimizer = torch.optim.AdamW(model.parameters(), fused=True)
rows = 4096
while True:
    inputs = torch.zeros(rows, WIDTH, device="cuda")
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = model(inputs).float().square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    del inputs, loss
    rows *= 2
