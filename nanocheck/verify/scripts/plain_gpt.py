"""Trains a small GPT for a few steps and says what PyTorch itself counted."""

import last_words
import torch
from small_gpt import LENGTH, Gpt, batch_of
from torch import nn
from torch.nn import functional

last_words.at_exit()
torch.manual_seed(1)
model = Gpt().cuda()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4)
for step in range(20):
    tokens, targets = batch_of(8, LENGTH)
    with torch.autocast("cuda", dtype=torch.bfloat16):
        loss = functional.cross_entropy(model(tokens).flatten(0, 1), targets.flatten())
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    print(f"step {step}: {torch.cuda.max_memory_allocated()} bytes")
