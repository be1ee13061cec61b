"""A loss on the labelled tokens only, as in trl: a mask decides how many logits there are.

It knows nothing of nanocheck. With ``hand`` the labelled tokens are taken by slices of as many as there are.
"""

import sys

import torch
from torch import nn
from torch.nn import functional

by_hand = sys.argv[1:] == ["hand"]
torch.manual_seed(0)
body = nn.Sequential(nn.Embedding(8000, 256), nn.Linear(256, 256), nn.GELU()).cuda()
head = nn.Linear(256, 8000, bias=False).cuda()
optimizer = torch.optim.AdamW([*body.parameters(), *head.parameters()], fused=True)
for _ in range(4):
    tokens = torch.randint(8000, (8, 512))
    labels = tokens.clone()
    labels[:, 384:] = -100  # padding
    count = int((labels != -100).sum())
    tokens, labels = tokens.cuda(), labels.cuda()
    with torch.no_grad():
        hidden = body(tokens)
    if by_hand:
        selected, targets = hidden.flatten(0, 1)[:count].clone(), labels.flatten()[:count].clone()
    else:
        mask = labels != -100
        selected, targets = hidden[mask], labels[mask]
        del mask
    loss = functional.cross_entropy(head(selected), targets)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    del tokens, labels, hidden, selected, targets, loss
print("peak", torch.cuda.max_memory_allocated())
