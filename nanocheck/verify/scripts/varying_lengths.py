"""Sequences of another length in every step, the longest in the middle."""

import last_words
import torch
from small_gpt import Gpt, batch_of
from torch.nn import functional

last_words.at_exit()
torch.manual_seed(1)
model = Gpt().cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
for length in (200, 331, 256, 97, 512, 449, 128, 500):
    tokens, targets = batch_of(8, length)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
